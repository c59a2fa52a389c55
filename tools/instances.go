package tools

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"openclaw-mcp/client"
)

// instanceCache remembers, briefly, which instance is meant when none is named.
type instanceCache struct {
	mu sync.Mutex
	id string
	at time.Time
}

const instanceMemory = 15 * time.Second

// instance decides which instance a call is about: the one it names, else the
// configured one, else the only one, else the only one that is ready.
func (r *request) instance(ctx context.Context, named string) (id string, err error) {
	defer func() {
		if id != "" {
			r.observer(ctx).Instance(id)
		}
	}()
	if named = strings.TrimSpace(named); named == "" {
		named = r.Deps.Instance
	}
	if named != "" {
		return named, r.rails.instance(named)
	}
	r.found.mu.Lock()
	defer r.found.mu.Unlock()
	if r.found.id != "" && time.Since(r.found.at) < instanceMemory && r.rails.instance(r.found.id) == nil {
		return r.found.id, nil
	}
	page, err := r.Client.Instances.List(ctx)
	if err != nil {
		return "", fmt.Errorf("no instance was named, and finding one failed: %w", asNotSent(err))
	}
	id, err = chooseInstance(r.allowedInstances(page.Items))
	if err != nil {
		return "", err
	}
	r.found.id, r.found.at = id, time.Now()
	return id, nil
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

// Instance is an instance in results.
type Instance struct {
	ID        string `json:"id"`
	Name      string `json:"name,omitempty"`
	Status    string `json:"status"`
	State     string `json:"state"`
	SandboxID string `json:"sandbox_id,omitempty"`
	CreatedAt string `json:"created_at,omitempty"`
	UpdatedAt string `json:"updated_at,omitempty"`
}

func instanceOut(in client.Instance) Instance {
	return Instance{
		ID: in.ID, Name: in.Name, Status: in.Status, State: string(in.State), SandboxID: in.SandboxID,
		CreatedAt: stamp(in.CreatedAt), UpdatedAt: stamp(in.UpdatedAt),
	}
}

func (in Instance) line() string {
	var b strings.Builder
	b.WriteString(in.ID)
	if in.Name != "" {
		fmt.Fprintf(&b, " %q", in.Name)
	}
	status := in.Status
	if status == "" {
		status = "status unknown"
	}
	b.WriteString(": " + status)
	if in.State != in.Status && in.State != string(client.StateUnknown) {
		b.WriteString(" (" + in.State + ")")
	}
	if in.CreatedAt != "" {
		b.WriteString(", created " + in.CreatedAt)
	}
	return b.String()
}

// stamp renders a time for results; an unknown one is "".
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func instanceTools() []*Tool {
	return []*Tool{
		define(Spec{
			Name: "list_instances", Title: "List instances", Family: "instances", Effect: Reads,
			Description: "Lists the OpenClaw instances of this API key with their status. Prefer one that is ready over creating one.",
		}, listInstances),
		define(Spec{
			Name: "get_instance", Title: "Get an instance", Family: "instances", Effect: Reads,
			Description: "Shows one instance and its current status.",
		}, getInstance),
		define(Spec{
			Name: "create_instance", Title: "Create an instance", Family: "instances", Effect: Writes,
			Description: "Creates an instance and waits until it is ready, which may take minutes: status \"running\" comes with a `run` for wait_run. Prefer an existing ready one. Cancelling the request stops the waiting, not the creation.",
			Props:       map[string]Prop{"wait_seconds": waitProp()},
		}, createInstance),
		define(Spec{
			Name: "reboot_instance", Title: "Reboot an instance", Family: "instances", Effect: Destroys,
			Description: "Reboots an instance. DESTROYS what runs on it: commands, terminals and the agent's current work are interrupted. Files stay.",
		}, rebootInstance),
		define(Spec{
			Name: "shutdown_instance", Title: "Shut an instance down", Family: "instances", Effect: Destroys,
			Description: "Shuts an instance down. DESTROYS what runs on it, and it can't be used until it is rebooted.",
		}, shutdownInstance),
	}
}

type noInput struct{}

type listInstancesOut struct {
	Instances []Instance `json:"instances"`
	More      bool       `json:"more,omitempty"`
	Next      string     `json:"next,omitempty"`
}

func listInstances(ctx context.Context, r *request, _ noInput) (listInstancesOut, error) {
	page, err := r.Client.Instances.List(ctx)
	if err != nil {
		return listInstancesOut{}, err
	}
	page.Items = r.allowedInstances(page.Items)
	out := listInstancesOut{Instances: []Instance{}, More: page.More}
	left := r.MaxResultChars
	for i, in := range page.Items {
		o := instanceOut(in)
		if left -= len(o.line()) + 1; left < 0 {
			out.Next = fmt.Sprintf("%d more instances are left out; name the one you want to get_instance", len(page.Items)-i)
			break
		}
		out.Instances = append(out.Instances, o)
	}
	if page.More && out.Next == "" {
		out.Next = "the service has more instances than it lists here; name the one you want to get_instance"
	}
	if len(page.Items) == 0 {
		out.Next = "create_instance makes one"
	}
	return out, nil
}

func (o listInstancesOut) text() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%d instance(s)\n", len(o.Instances))
	for _, in := range o.Instances {
		s.WriteString(in.line() + "\n")
	}
	return withNext(s.String(), o.Next)
}

type instanceIn struct {
	Instance string `json:"instance,omitempty" jsonschema:"default: the configured or only ready one"`
}

type getInstanceOut struct {
	Instance Instance `json:"instance"`
	Next     string   `json:"next,omitempty"`
}

func getInstance(ctx context.Context, r *request, in instanceIn) (getInstanceOut, error) {
	id, err := r.instance(ctx, in.Instance)
	if err != nil {
		return getInstanceOut{}, err
	}
	got, err := r.Client.Instances.Current(ctx, id)
	if err != nil {
		return getInstanceOut{}, err
	}
	out := getInstanceOut{Instance: instanceOut(got)}
	switch got.State {
	case client.StatePending:
		out.Next = "it is not ready yet; call get_instance again in a few seconds"
	case client.StateOff:
		out.Next = "it is off; reboot_instance starts it"
	case client.StateFailed:
		out.Next = "it failed; reboot_instance may help, or create_instance makes another"
	}
	return out, nil
}

func (o getInstanceOut) text() string { return withNext(o.Instance.line(), o.Next) }

type createInstanceIn struct {
	InviteCode  string `json:"invite_code,omitempty" jsonschema:"where the account needs one"`
	WaitSeconds *int   `json:"wait_seconds,omitempty" jsonschema:"longest wait; default and cap: the server's"`
}

func createInstance(ctx context.Context, r *request, in createInstanceIn) (*runOut, error) {
	run, err := r.Runs.CreateInstance(ctx, client.CreateInstanceRequest{InviteCode: in.InviteCode})
	if err != nil {
		return nil, err
	}
	r.stopOnCancel(ctx, run)
	return r.waitFor(ctx, run, in.WaitSeconds, false)
}

type lifecycleOut struct {
	Instance string `json:"instance"`
	Status   string `json:"status"`
	Next     string `json:"next,omitempty"`
}

type lifecycleIn struct {
	Instance string `json:"instance,omitempty" jsonschema:"default: the configured or only ready one"`
	Confirm  string `json:"confirm,omitempty" jsonschema:"token that the first call gave"`
}

func rebootInstance(ctx context.Context, r *request, in lifecycleIn) (lifecycleOut, error) {
	return r.lifecycle(ctx, in, lifecycle{
		act: r.Client.Instances.Reboot, warning: "It reboots instance %s and interrupts everything that runs on it.",
		status: "rebooting", next: "get_instance shows when it is ready again",
	})
}

func shutdownInstance(ctx context.Context, r *request, in lifecycleIn) (lifecycleOut, error) {
	return r.lifecycle(ctx, in, lifecycle{
		act: r.Client.Instances.Shutdown, warning: "It shuts instance %s down and ends everything that runs on it.",
		status: "shutting_down", next: "reboot_instance starts it again",
	})
}

// lifecycle is one way to interrupt an instance.
type lifecycle struct {
	act     func(context.Context, string) (client.Lifecycle, error)
	warning string // what it will do, for the user who confirms
	status  string // where the service does not say
	next    string
}

func (r *request) lifecycle(ctx context.Context, in lifecycleIn, do lifecycle) (lifecycleOut, error) {
	id, err := r.instance(ctx, in.Instance)
	if err != nil {
		return lifecycleOut{}, err
	}
	if err := r.confirm(ctx, fmt.Sprintf(do.warning, id), in.Confirm); err != nil {
		return lifecycleOut{}, err
	}
	l, err := do.act(ctx, id)
	if err != nil {
		var e *client.Error
		if errors.As(err, &e) && e.Status == http.StatusNotFound {
			r.found.mu.Lock()
			r.found.id = ""
			r.found.mu.Unlock()
		}
		return lifecycleOut{}, err
	}
	out := lifecycleOut{Instance: id, Status: do.status, Next: do.next}
	if l.Status != "" {
		out.Status = l.Status
	}
	return out, nil
}

func (o lifecycleOut) text() string {
	return withNext(fmt.Sprintf("instance %s: %s (the service accepted it)", o.Instance, o.Status), o.Next)
}

// withNext adds the call to make next, if there is one.
func withNext(text, next string) string {
	text = strings.TrimRight(text, "\n")
	if next == "" {
		return text
	}
	return text + "\nNext: " + next
}
