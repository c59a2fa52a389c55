package tools

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/text"
)

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
			Name: "list_instances", Title: "List instances", Family: "instances", Effect: Reads, Page: pageWork,
			Description: "Lists the OpenClaw instances of this API key. Prefer a ready one to a new one.",
		}, listInstances),
		define(Spec{
			Name: "get_instance", Title: "Get an instance", Family: "instances", Effect: Reads,
			Description: "Shows one instance and its current status.",
		}, getInstance),
		define(Spec{
			Name: "create_instance", Title: "Create an instance", Family: "instances", Effect: Writes,
			Description: "Creates an instance and waits until it is ready, which may take minutes. Prefer an existing ready one.",
			Props:       map[string]Prop{"wait_seconds": waitProp()},
		}, createInstance),
		define(Spec{
			Name: "reboot_instance", Title: "Reboot an instance", Family: "instances", Effect: Destroys,
			Description: "Reboots an instance. What runs on it is interrupted. Files stay.",
		}, rebootInstance),
		define(Spec{
			Name: "shutdown_instance", Title: "Shut an instance down", Family: "instances", Effect: Destroys,
			Description: "Shuts an instance down. What runs on it ends, and it can't be used until it is rebooted.",
		}, shutdownInstance),
	}
}

type noInput struct{}

type listInstancesOut struct {
	Instances []Instance `json:"instances"`
	More      bool       `json:"more,omitempty"`
	Next      string     `json:"next,omitempty"`

	leftOut int
}

func listInstances(ctx context.Context, r *request, _ noInput) (listInstancesOut, error) {
	page, err := r.Client.Instances.List(ctx)
	if err != nil {
		return listInstancesOut{}, err
	}
	r.found.sees(page)
	page.Items = r.allowedInstances(page.Items)
	out := listInstancesOut{Instances: []Instance{}, More: page.More}
	left := r.MaxResultChars
	for i, in := range page.Items {
		o := instanceOut(in)
		if left -= len(o.line()) + 1; left < 0 {
			out.leftOut = len(page.Items) - i
			out.Next = fmt.Sprintf("%d more instances are left out; name the one you want to get_instance", out.leftOut)
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
	s.WriteString(text.Count(len(o.Instances), "instance", "instances") + "\n")
	for _, in := range o.Instances {
		s.WriteString(in.line() + "\n")
	}
	return withNext(s.String(), o.Next)
}

type instanceIn struct {
	Instance string `json:"instance,omitempty" jsonschema:"if several"`
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
	if noEndpoint(err) {
		got, err = r.listed(ctx, id, err)
	}
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
	WaitSeconds *int   `json:"wait_seconds,omitempty" jsonschema:"longest wait"`
}

func createInstance(ctx context.Context, r *request, in createInstanceIn) (*runOut, error) {
	answer := r.exchange.Answer
	if answer != nil && answer.Declined {
		return nil, declined(r.tool.Name, "No instance was created: OpenClaw asks for a subscription or an invite code (invite_code) first.")
	}
	r.found.creating()
	run, err := r.Creations.Start(ctx, client.CreateInstanceRequest{InviteCode: in.InviteCode})
	if err != nil {
		return nil, err
	}
	defer run.Answered()
	r.stopOnCancel(ctx, run.Run)
	out, err := r.waitFor(ctx, run.Run, "", in.WaitSeconds, false)
	if err != nil {
		return nil, err
	}
	if r.Website != "" && needsSubscription(out.err) {
		switch {
		case answer == nil && r.exchange.CanOpen:
			return nil, &unconfirmedError{text: out.text(), ask: &Question{
				Text: "OpenClaw asks for a subscription or an invite code before it creates an instance. Subscribe on the page, then go on: the instance is asked for again.",
				URL:  r.Website,
			}}
		case answer != nil && answer.Yes: // which says that the page was opened, not what came of it
			out.Next = "the user was sent to " + r.Website + " to subscribe: once they have, call create_instance again. Or pass invite_code, or use an existing instance (list_instances)."
		}
	}
	if run.Joined != "" {
		out.Notes = append([]string{run.Joined}, out.Notes...)
	}
	return out, nil
}

// needsSubscription reports whether the service refused to create an instance for want of
// a subscription.
func needsSubscription(err error) bool {
	e, ok := errors.AsType[*client.Error](err)
	return ok && (e.Status == http.StatusForbidden || e.Status == http.StatusPaymentRequired) && e.Outcome == client.OutcomeRejected
}

type lifecycleOut struct {
	Instance string `json:"instance"`
	Status   string `json:"status"`
	Next     string `json:"next,omitempty"`
}

type lifecycleIn struct {
	Instance string `json:"instance,omitempty" jsonschema:"if several"`
	Confirm  string `json:"confirm,omitempty" jsonschema:"token of the first call"`
}

func rebootInstance(ctx context.Context, r *request, in lifecycleIn) (lifecycleOut, error) {
	return r.lifecycle(ctx, in, r.reboot())
}

func shutdownInstance(ctx context.Context, r *request, in lifecycleIn) (lifecycleOut, error) {
	return r.lifecycle(ctx, in, r.shutdown())
}

// lifecycle is one way to interrupt an instance.
type lifecycle struct {
	act     func(context.Context, string) (client.Lifecycle, error)
	warning string // what it will do, for the user who confirms
	status  string // where the service does not say
	next    string
}

func (r *request) reboot() lifecycle {
	return lifecycle{
		act: r.Client.Instances.Reboot, warning: "It reboots %s and interrupts everything that runs on it.",
		status: "rebooting", next: "get_instance shows when it is ready again",
	}
}

func (r *request) shutdown() lifecycle {
	return lifecycle{
		act: r.Client.Instances.Shutdown, warning: "It shuts %s down and ends everything that runs on it.",
		status: "shutting_down", next: "reboot_instance starts it again",
	}
}

func (r *request) lifecycle(ctx context.Context, in lifecycleIn, do lifecycle) (lifecycleOut, error) {
	id, err := r.instance(ctx, in.Instance)
	if err != nil {
		return lifecycleOut{}, err
	}
	what := "the instance"
	if !r.alone(id) {
		what = "instance " + id
	}
	if err := r.confirm(ctx, fmt.Sprintf(do.warning, what), id, in.Confirm); err != nil {
		return lifecycleOut{}, err
	}
	return r.interrupt(ctx, id, do)
}

// interrupt does what was confirmed.
func (r *request) interrupt(ctx context.Context, id string, do lifecycle) (lifecycleOut, error) {
	l, err := do.act(ctx, id)
	if err != nil {
		var e *client.Error
		if errors.As(err, &e) && e.Status == http.StatusNotFound {
			r.found.forget()
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
