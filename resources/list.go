package resources

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"path"
	"slices"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"openclaw-mcp/client"
)

const (
	// pageSize is how many resources one page of the list has.
	pageSize = 100
	// askLimit is how long one instance is waited for.
	askLimit = 5 * time.Second
	// maxListedFiles is how many files of an instance's workspace the list has:
	// it is there to pick from. All files are found through the directories.
	maxListedFiles = 100
)

// place is where a resource stands in the list: instances by id, and under each
// one what belongs to it, sessions from the newest on. Nothing in it ever
// changes for one resource, so a cursor that is a place loses nothing when
// others come and go.
type place struct {
	Instance string `json:"i"`
	Rank     int    `json:"r"`
	Created  int64  `json:"c,omitempty"` // of a session, in nanoseconds
	ID       string `json:"n,omitempty"` // of a session; name of a file
}

// The ranks of what belongs to an instance.
const (
	rankInstance = iota
	rankSessions
	rankWorkspace
	rankFile
	rankSession
)

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.Instance, q.Instance), cmp.Compare(p.Rank, q.Rank),
		cmp.Compare(q.Created, p.Created), cmp.Compare(p.ID, q.ID))
}

func (p place) cursor() string {
	b, err := json.Marshal(p)
	if err != nil { // strings and numbers
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(b)
}

func parseCursor(cursor string) (place, error) {
	var p place
	b, err := base64.StdEncoding.DecodeString(cursor)
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil {
		return p, invalid("", "params.cursor is not one that this server gave; leave it out to start at the beginning")
	}
	return p, nil
}

// listed is a resource and its place.
type listed struct {
	place
	resource mcp.Resource
}

// List gives a page of the resources that ctx's request may read, and the
// cursor of the next page, "" at the end. Of each page, only the instances that
// are on it are asked what they have.
func (s *Server) List(ctx context.Context, cursor string) ([]mcp.Resource, string, error) {
	c, err := s.caller(ctx)
	if err != nil {
		return nil, "", err
	}
	var from, last place
	var page []mcp.Resource
	if cursor != "" {
		if from, err = parseCursor(cursor); err != nil {
			return nil, "", err
		}
	} else {
		page = s.first(ctx)
	}
	// The first page is asked for news, the others go with it.
	all, err := c.instances(ctx, cursor == "")
	if err != nil {
		return nil, "", asCallers("", err)
	}
	for _, in := range all {
		if in.ID < from.Instance || s.AllowInstance(ctx, in.ID) != nil {
			continue
		}
		for _, l := range c.belongings(ctx, in, cursor == "") {
			if cursor != "" && l.compare(from) <= 0 {
				continue
			}
			if len(page) == pageSize {
				return page, last.cursor(), nil
			}
			page = append(page, l.resource)
			last = l.place
		}
	}
	return page, "", nil
}

// first lists what belongs to no instance. Which documents there are is only
// found out by reading them.
func (s *Server) first(ctx context.Context) (page []mcp.Resource) {
	page = append(page, skillResource())
	if s.AllowTool(ctx, "list_instances") == nil {
		page = append(page, mcp.NewResource(rootURI, "instances", mcp.WithResourceTitle("OpenClaw instances"), mcp.WithMIMEType(mimeJSON),
			mcp.WithResourceDescription("All instances of this API key with their status. Can be subscribed to.")))
	}
	if s.AllowTool(ctx, "check_service") == nil {
		for _, d := range client.Documents() {
			page = append(page, resource(documentURI(d.Name), "Service: "+d.Title, d.MediaType, time.Time{},
				mcp.WithResourceDescription("From the service's own host, if it publishes it.")))
		}
	}
	return page
}

// instances lists the instances by id.
func (c *caller) instances(ctx context.Context, fresh bool) ([]client.Instance, error) {
	return load(ctx, c, "instances", fresh, func(ctx context.Context) ([]client.Instance, error) {
		page, err := c.client.Instances.List(ctx)
		slices.SortFunc(page.Items, func(a, b client.Instance) int { return cmp.Compare(a.ID, b.ID) })
		return page.Items, err
	})
}

// sessions lists an instance's sessions, newest first.
func (c *caller) sessions(ctx context.Context, instance string, fresh bool) ([]client.Session, error) {
	return load(ctx, c, "sessions\x00"+instance, fresh, func(ctx context.Context) ([]client.Session, error) {
		page, err := c.client.Chat.Sessions(ctx, instance)
		return page.Items, err
	})
}

// directory lists a directory by name.
func (c *caller) directory(ctx context.Context, instance, dir string, fresh bool) ([]client.FileInfo, error) {
	return load(ctx, c, "files\x00"+instance+"\x00"+dir, fresh, func(ctx context.Context) ([]client.FileInfo, error) {
		return c.files(ctx, instance, dir)
	})
}

// belongings lists what belongs to an instance, in order. What an instance does
// not tell, because it is off, still starting or too slow, is left out.
func (c *caller) belongings(ctx context.Context, in client.Instance, fresh bool) []listed {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	var out []listed
	add := func(rank int, created time.Time, id string, r mcp.Resource) {
		p := place{Instance: in.ID, Rank: rank, ID: id}
		if !created.IsZero() {
			p.Created = created.UnixNano()
		}
		out = append(out, listed{p, r})
	}
	label := cmp.Or(in.Name, in.ID)
	if c.AllowTool(ctx, "get_instance") == nil {
		add(rankInstance, time.Time{}, "", resource(instanceURI(in.ID), "Instance "+label, mimeJSON, in.UpdatedAt,
			mcp.WithResourceDescription("Status when listed: "+in.Status)))
	}
	chat, files := c.AllowTool(ctx, "list_chat_sessions") == nil, c.AllowTool(ctx, "list_files") == nil && c.AllowPath(ctx, client.Workspace) == nil
	if chat {
		add(rankSessions, time.Time{}, "", resource(sessionsURI(in.ID), "Chat sessions of "+label, mimeJSON, time.Time{}))
	}
	asked := in.State == client.StateReady || in.State == client.StateUnknown
	if files {
		add(rankWorkspace, time.Time{}, "", resource(FileURI(in.ID, client.Workspace), "Workspace of "+label, mimeJSON, time.Time{},
			mcp.WithResourceDescription("The entries of /workspace. Files within are resources, too: see the template \"files\".")))
	}
	if files && asked && c.AllowTool(ctx, "read_file") == nil {
		entries, err := c.directory(ctx, in.ID, client.Workspace, fresh)
		c.skipped(err, in.ID)
		count := 0
		for _, f := range entries {
			if f.IsDir || c.AllowPath(ctx, f.Path) != nil {
				continue
			}
			if count++; count > maxListedFiles {
				break
			}
			add(rankFile, time.Time{}, f.Name, resource(FileURI(in.ID, f.Path), path.Base(f.Path), mimeOf(f.Name), f.ModifiedAt, mcp.WithResourceSize(f.Size)))
		}
	}
	if chat && asked && c.AllowTool(ctx, "read_chat_history") == nil {
		sessions, err := c.sessions(ctx, in.ID, fresh)
		c.skipped(err, in.ID)
		for _, s := range sessions {
			add(rankSession, s.CreatedAt, s.ID, resource(MessagesURI(in.ID, s.ID), "Chat: "+cmp.Or(s.Title, s.ID), mimeMarkdown, s.UpdatedAt))
		}
	}
	slices.SortFunc(out, func(a, b listed) int { return a.compare(b.place) })
	return slices.CompactFunc(out, func(a, b listed) bool { return a.place == b.place })
}

func (c *caller) skipped(err error, instance string) {
	if err != nil {
		c.Log.Debug("an instance's resources could not be listed", "instance", instance, "error", err)
	}
}

// resource makes a resource. Its name is its URI's, and so like no other's; the
// title is what people see.
func resource(uri, title, mime string, modified time.Time, opts ...mcp.ResourceOption) mcp.Resource {
	opts = append(opts, mcp.WithResourceTitle(title), mcp.WithMIMEType(mime))
	if at := stamp(modified); at != "" {
		opts = append(opts, mcp.WithLastModified(at))
	}
	return mcp.NewResource(uri, uri[len("openclaw://"):], opts...)
}
