package resources

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"

	"openclaw-mcp/client"
)

// maxLook is how much of a file is read to see whether it changed, where the
// service says nothing else of it.
const maxLook = 256 << 10

// look gives what a resource is watched by: a text that differs when the
// resource differs.
func (c *caller) look(r ref) func(context.Context) (string, error) {
	switch r.kind {
	case kindInstances:
		return func(ctx context.Context) (string, error) {
			page, err := c.client.Instances.List(ctx)
			h := sha256.New()
			for _, in := range page.Items {
				fmt.Fprintf(h, "%q %q %q\n", in.ID, in.Name, in.Status)
			}
			return fmt.Sprintf("%x", h.Sum(nil)), err
		}
	case kindInstance:
		return func(ctx context.Context) (string, error) {
			in, err := c.client.Instances.Status(ctx, r.instance)
			return fmt.Sprintf("%q %q", in.Status, in.Name), err
		}
	case kindSessions:
		return func(ctx context.Context) (string, error) {
			page, err := c.client.Chat.Sessions(ctx, r.instance)
			h := sha256.New()
			for _, s := range page.Items {
				fmt.Fprintf(h, "%q %q %d\n", s.ID, s.Title, s.UpdatedAt.UnixNano())
			}
			return fmt.Sprintf("%x", h.Sum(nil)), err
		}
	case kindSkill:
		return func(context.Context) (string, error) { return "", nil } // it never changes
	case kindDocument:
		return func(ctx context.Context) (string, error) {
			doc, err := c.client.Documents.Get(ctx, r.document)
			return fmt.Sprintf("%x", sha256.Sum256([]byte(doc.Text))), err
		}
	default:
		return func(ctx context.Context) (string, error) { return c.lookAtPath(ctx, r.instance, r.path) }
	}
}

// lookAtPath looks at a file by its entry in its directory, which has its size
// and time, and at a directory by its entries.
func (c *caller) lookAtPath(ctx context.Context, instance, name string) (string, error) {
	if name != "/" {
		parent, err := c.client.Files.List(ctx, instance, path.Dir(name))
		if err != nil && !definitive(err) {
			return "", err
		}
		for _, f := range parent.Items {
			if f.Name != path.Base(name) || f.IsDir {
				continue
			}
			if !f.ModifiedAt.IsZero() {
				return fmt.Sprintf("file %d %d", f.Size, f.ModifiedAt.UnixNano()), nil
			}
			return c.lookInto(ctx, instance, name, f.Size)
		}
	}
	page, err := c.client.Files.List(ctx, instance, name)
	if err != nil {
		// Perhaps a file that its directory does not show.
		if !definitive(err) {
			return "", err
		}
		got, openErr := c.lookInto(ctx, instance, name, -1)
		if openErr != nil {
			return "", errors.Join(err, openErr)
		}
		return got, nil
	}
	return entriesHash(page.Items), nil
}

// entriesHash does not depend on the order in which the service lists.
func entriesHash(entries []client.FileInfo) string {
	var sum [sha256.Size]byte
	for _, f := range entries {
		one := sha256.Sum256(fmt.Appendf(nil, "%q %t %d %d", f.Name, f.IsDir, f.Size, f.ModifiedAt.UnixNano()))
		for i := range sum {
			sum[i] ^= one[i]
		}
	}
	return fmt.Sprintf("dir %d %x", len(entries), sum)
}

// lookInto looks at the content of a file, its start at least.
func (c *caller) lookInto(ctx context.Context, instance, name string, size int64) (string, error) {
	body, err := c.client.Files.Open(ctx, instance, name)
	if err != nil {
		return "", err
	}
	defer func() { _ = body.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, io.LimitReader(body, maxLook)); err != nil {
		return "", err
	}
	return fmt.Sprintf("content %d %d %x", size, body.Size, h.Sum(nil)), nil
}
