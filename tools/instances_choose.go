package tools

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"openclaw-mcp/client"
)

// instanceCache remembers, briefly, which instance is meant when none is named, and
// which the service lists.
type instanceCache struct {
	mu      sync.Mutex
	id      string
	at      time.Time
	created time.Time // when create_instance was last called

	only atomic.Pointer[string] // the only one there is, as far as is known; nil: there may be others

	listed   map[string]string // by canonical id: as the service spells it
	listedAt time.Time
}

const (
	instanceMemory = 15 * time.Second
	// creationTime is how long it may take until a new instance is ready. While there
	// may be one, nothing is decided from memory.
	creationTime = 15 * time.Minute
)

func (c *instanceCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.id = ""
}

func (c *instanceCache) creating() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.id, c.created = "", time.Now()
	c.only.Store(nil)
}

// sees notes whether a list has only one instance.
func (c *instanceCache) sees(page client.Page[client.Instance]) {
	c.only.Store(nil)
	if len(page.Items) == 1 && !page.More {
		c.only.Store(&page.Items[0].ID)
	}
}

// onInstance is the part of a result that says which instance it is about.
type onInstance struct {
	Instance string `json:"instance"`

	alone bool // no other is in play, so that it goes without saying
}

func (r *request) on(id string) onInstance { return onInstance{Instance: id, alone: r.alone(id)} }

// alone reports whether a call that names no instance is sure to be about this one.
func (r *request) alone(id string) bool {
	only := r.found.only.Load()
	return id == r.Deps.Instance || only != nil && id == *only && r.Deps.Instance == ""
}

// named is the instance that a suggested call has to name, "" where none is needed.
func (r *request) named(id string) string {
	if r.alone(id) {
		return ""
	}
	return id
}

// where says the instance after a word like "on", with a blank before it; "" where it goes
// without saying.
func (i onInstance) where(preposition string) string {
	if i.alone || i.Instance == "" {
		return ""
	}
	return " " + preposition + " instance " + i.Instance
}

// instance decides which instance a call is about: the one it names, else the
// configured one, else the only one, else the only one that is ready. A tool that may
// destroy something never decides from memory.
func (r *request) instance(ctx context.Context, named string) (id string, err error) {
	defer func() {
		if id != "" {
			r.used = id
			r.observer(ctx).Instance(id)
		}
	}()
	if named = strings.TrimSpace(named); named == "" {
		named = r.Deps.Instance
	}
	if named != "" {
		return r.allowInstance(ctx, named)
	}
	if r.tool.Effect == Destroys {
		return r.chosenInstance(ctx)
	}
	r.found.mu.Lock()
	defer r.found.mu.Unlock()
	if r.found.id != "" && time.Since(r.found.at) < instanceMemory && r.rails.instance(r.found.id) == nil {
		return r.found.id, nil
	}
	id, err = r.chosenInstance(ctx)
	if err == nil && time.Since(r.found.created) > creationTime {
		r.found.id, r.found.at = id, time.Now()
	}
	return id, err
}

// chosenInstance asks the service which instances there are, and chooses one.
func (r *request) chosenInstance(ctx context.Context) (string, error) {
	page, err := r.Client.Instances.List(ctx)
	if err != nil {
		return "", fmt.Errorf("no instance was named, and finding one failed: %w", asNotSent(err))
	}
	r.found.sees(page)
	if page.More && r.tool.Effect == Destroys {
		return "", badArgument("argument \"instance\" is needed, since the service has more instances than it lists")
	}
	return chooseInstance(r.allowedInstances(page.Items))
}

// allowInstance reports why a call may not use the instance that it names, and
// gives the id by which it is used. Where instances are excluded, only those that
// the service lists may be: what it takes for the same id is for the service to
// say, and a spelling that nobody thought of would be past the exclusion.
func (r *request) allowInstance(ctx context.Context, named string) (string, error) {
	if err := client.CheckID("instance id", named); err != nil {
		return "", badArgument("argument \"instance\": %v", err)
	}
	if err := r.rails.instance(named); err != nil || !r.rails.excludesInstances() {
		return named, err
	}
	id, err := r.found.spelling(ctx, r.Client, named)
	switch {
	case err != nil:
		return "", fmt.Errorf("some instances are excluded here, so all of them had to be listed first, which failed: %w", asNotSent(err))
	case id == "":
		return "", forbidden("instance %s is not allowed: instances are excluded here, so only those that list_instances shows may be used, and this is not one of them", named)
	}
	return id, r.rails.instance(id)
}

// spelling gives the id of an instance as the service lists it, "" where it does
// not. One that is not known is looked for again.
func (c *instanceCache) spelling(ctx context.Context, from *client.Client, named string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := client.CanonicalID(named)
	if id := c.listed[key]; id != "" && time.Since(c.listedAt) < instanceMemory {
		return id, nil
	}
	page, err := from.Instances.List(ctx)
	if err != nil {
		return "", err
	}
	c.listed, c.listedAt = make(map[string]string, len(page.Items)), time.Now()
	for _, in := range page.Items {
		c.listed[client.CanonicalID(in.ID)] = in.ID
	}
	return c.listed[key], nil
}

// asNotSent marks an error of a preparation: what was to follow was not sent.
func asNotSent(err error) error {
	var e *client.Error
	if !errors.As(err, &e) {
		return err
	}
	c := *e
	c.Outcome = client.OutcomeNotSent
	return &c
}

func chooseInstance(all []client.Instance) (string, error) {
	if len(all) == 1 {
		return all[0].ID, nil
	}
	var ready []client.Instance
	for _, in := range all {
		if in.State == client.StateReady {
			ready = append(ready, in)
		}
	}
	switch {
	case len(all) == 0:
		return "", badArgument("there is no instance yet; create_instance makes one")
	case len(ready) == 1:
		return ready[0].ID, nil
	}
	choices := all
	what := "none of the instances is ready"
	if len(ready) > 1 {
		choices = ready
		what = "several instances are ready"
	} else if !slices.ContainsFunc(all, func(in client.Instance) bool { return !isStopped(in) }) {
		what = "all instances are stopped (reboot_instance first)"
	}
	var list []string
	for _, in := range choices {
		list = append(list, in.ID+" ("+in.Status+")")
		if len(list) == 20 && len(choices) > 20 {
			list = append(list, fmt.Sprintf("and %d more, see list_instances", len(choices)-20))
			break
		}
	}
	return "", badArgument("argument \"instance\" is needed, since %s: %s", what, strings.Join(list, ", "))
}
