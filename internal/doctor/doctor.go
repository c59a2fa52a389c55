// Package doctor looks at an OpenClaw service from outside, without changing
// anything that matters, and reports how it answers: methods, path templates, status,
// content types, times and the names of keys. No value of an answer gets into a
// report, so that a report can be shown to anybody.
package doctor

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"time"

	"openclaw-mcp/client"
)

// Options say what to look at.
type Options struct {
	BaseURL, Key    string
	Instance        string // "": the first that is ready, else the first
	AllowInstance   func(id string) error
	TerminalFamily  client.TerminalFamily
	DesktopPassword string
	Version         string // of the program

	SkipChat    bool // send the agent no message
	SkipExec    bool // run no command
	SkipSockets bool // open neither terminal nor desktop
	ReadOnly    bool // send nothing but GETs, and open no terminal

	Patience time.Duration // for one answer (15 s); for a chat, eight times as long
	Watch    time.Duration // how long a terminal may take to say something (3 s)
	// Transport carries the requests; nil: one like the client's own.
	Transport http.RoundTripper
	// Begin is called before each step, with its name.
	Begin func(step string)
}

// Level says how a check went.
type Level string

// The levels.
const (
	OK      Level = "ok"
	Skipped Level = "skipped"
	Warning Level = "warning" // something does not work, or not as known
	Failed  Level = "failed"  // without it, nothing works
)

// Report is what was found.
type Report struct {
	Program  string    `json:"program"`
	Platform string    `json:"platform"`
	Service  string    `json:"service"`
	Time     string    `json:"time"`
	Result   Level     `json:"result"` // the worst of the checks
	Checks   []Check   `json:"checks"`
	Dialect  *Dialect  `json:"dialect,omitempty"`
	Contract *Contract `json:"contract,omitempty"` // nil: the service does not describe itself
	// ClockSkewSeconds is how far the service's clock is ahead of this one.
	ClockSkewSeconds *int     `json:"clock_skew_seconds,omitempty"`
	TimeOuts         []string `json:"time_outs"` // the checks that ran out of time
}

// Dialect is how the service speaks, where that could be told.
type Dialect struct {
	Lists    string `json:"lists,omitempty"` // "bare arrays" or "wrapped"
	Names    string `json:"names,omitempty"` // "snake_case" or "camelCase"
	Stream   string `json:"stream,omitempty"`
	Terminal string `json:"terminal,omitempty"`
	Desktop  string `json:"desktop,omitempty"`
}

// Check is one step.
type Check struct {
	Name     string    `json:"name"`
	Level    Level     `json:"level"`
	Detail   string    `json:"detail,omitempty"`
	Advice   string    `json:"advice,omitempty"`
	Requests []Request `json:"requests,omitempty"`
	// Said is the error in full. It may repeat what the service said, so it is
	// for the person alone and not part of the report.
	Said string `json:"-"`
}

// ExitCode is 0 if all is well, 1 if something is not, and 2 if nothing works.
func (r *Report) ExitCode() int {
	switch r.Result {
	case Failed:
		return 2
	case Warning:
		return 1
	}
	return 0
}

// Add adds a check and worsens the result accordingly.
func (r *Report) Add(c Check) {
	r.Checks = append(r.Checks, c)
	if c.Level == Failed || (c.Level == Warning && r.Result != Failed) {
		r.Result = c.Level
	}
}

// NewReport begins a report.
func NewReport(version, service string) *Report {
	return &Report{
		Program: "openclaw-mcp " + version, Platform: runtime.GOOS + "/" + runtime.GOARCH + " " + runtime.Version(),
		Service: service, Time: time.Now().UTC().Format(time.RFC3339), Result: OK, TimeOuts: []string{},
	}
}

// examination is one run of the doctor.
type examination struct {
	Options
	report   *Report
	client   *client.Client
	recorder *recorder
	instance string
}

// Examine adds to a report what a service answers.
func Examine(ctx context.Context, report *Report, o Options) error {
	if o.Patience <= 0 {
		o.Patience = 15 * time.Second
	}
	if o.Watch <= 0 {
		o.Watch = 3 * time.Second
	}
	if o.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		defer t.CloseIdleConnections()
		o.Transport = t
	}
	e := &examination{Options: o, report: report, recorder: &recorder{next: o.Transport}}
	var err error
	e.client, err = client.New(&http.Client{Transport: e.recorder}, o.BaseURL, o.Key,
		client.WithUserAgent("openclaw-mcp/"+o.Version+" doctor"), client.WithRetry(1, time.Second, time.Second),
		client.WithReadOnly(func(context.Context) bool { return o.ReadOnly }))
	if err != nil {
		return err
	}
	e.recorder.base = e.client.BaseURL()
	report.Dialect = &Dialect{}
	e.run(ctx)
	e.clock()
	if *report.Dialect == (Dialect{}) {
		report.Dialect = nil
	}
	return ctx.Err()
}

// check does one step. do returns the details of a success, and a complaint if an
// answer came but something about it is odd.
func (e *examination) check(ctx context.Context, name string, patience time.Duration, onError Level,
	do func(context.Context) (detail, complaint string, err error)) bool {
	if ctx.Err() != nil {
		return false
	}
	if e.Begin != nil {
		e.Begin(name)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	detail, complaint, err := do(ctx)
	c := Check{Name: name, Level: OK, Detail: detail, Requests: e.recorder.take()}
	switch {
	case err != nil:
		c.Level = onError
		var timedOut bool
		c.Detail, c.Advice, timedOut = explain(err, c.Requests, patience)
		c.Said = err.Error()
		if timedOut {
			e.report.TimeOuts = append(e.report.TimeOuts, name)
		}
	case complaint != "":
		c.Level, c.Detail = Warning, complaint
	}
	e.report.Add(c)
	return err == nil
}

func (e *examination) skip(name, why string) {
	e.report.Add(Check{Name: name, Level: Skipped, Detail: why})
}

// clock compares the service's clock with this machine's.
func (e *examination) clock() {
	skew, ok := e.recorder.skew()
	if !ok {
		return
	}
	seconds := int(skew.Round(time.Second).Seconds())
	e.report.ClockSkewSeconds = &seconds
	c := Check{Name: "clock", Level: OK, Detail: "the clocks agree"}
	if seconds > 30 || seconds < -30 {
		c.Level = Warning
		c.Detail = fmt.Sprintf("the service's clock is %+d s away from this machine's", seconds)
		c.Advice = "set this machine's clock; the times in results are those of the service"
	}
	e.report.Add(c)
}
