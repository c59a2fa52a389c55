package tools

// FactsKey names, in a result's _meta, what a program may want to know of a result
// whose text is for a model: its status, its handles, sizes and positions, never
// the content that the text holds.
const FactsKey = "openclaw-mcp/result"

// factual is an output with facts for programs.
type factual interface{ facts() any }

func (o runOut) facts() any {
	o.Notes, o.Next = nil, ""
	if o.replyOut != nil {
		o.replyOut = &replyOut{Revised: o.Revised}
	}
	if o.commandOut != nil {
		c := *o.commandOut
		c.Stdout, c.Stderr = "", ""
		o.commandOut = &c
	}
	if o.handle == "" {
		return o
	}
	return struct {
		runOut
		Handle string `json:"handle"`
	}{o, o.handle}
}

func (o runsOut) facts() any {
	all := make([]any, len(o.Runs))
	for i, r := range o.Runs {
		all[i] = r.facts()
	}
	return struct {
		Runs []any `json:"runs"`
	}{all}
}

func (o cancelRunOut) facts() any {
	return struct {
		cancelRunOut
		Handle string `json:"handle,omitempty"`
	}{o, o.handle}
}

func (o readFileOut) facts() any {
	return struct {
		readFileOut
		Content string `json:"content,omitempty"` // hides that of readFileOut
		Note    string `json:"note,omitempty"`
		Next    string `json:"next,omitempty"`
	}{readFileOut: o}
}

func (o writeFileOut) facts() any { return o }

func (o editFileOut) facts() any {
	o.Diff = ""
	return o
}

func (o manageFilesOut) facts() any { return o }

func (o listFilesOut) facts() any {
	return map[string]any{"path": o.Path, "total": o.Total, "cursor": o.Cursor}
}

func (o createSessionOut) facts() any {
	return map[string]any{"instance": o.Instance, "session": o.Session.ID}
}

func (o listInstancesOut) facts() any {
	all := make([]any, len(o.Instances))
	for i, in := range o.Instances {
		all[i] = in.facts()
	}
	return map[string]any{"instances": all, "more": o.More || o.leftOut > 0}
}

func (o getInstanceOut) facts() any { return map[string]any{"instance": o.Instance.facts()} }

func (in Instance) facts() any {
	return map[string]any{"id": in.ID, "status": in.Status, "state": in.State}
}

func (o lifecycleOut) facts() any {
	o.Next = ""
	return o
}

func (o terminalOut) facts() any {
	return struct {
		terminalOut
		Handle string   `json:"handle,omitempty"`
		Text   string   `json:"text,omitempty"` // hides that of terminalOut
		Notes  []string `json:"notes,omitempty"`
		Next   string   `json:"next,omitempty"`
	}{terminalOut: o, Handle: o.handle}
}

func (o screenOut) facts() any { return o }

func (o controlDesktopOut) facts() any {
	o.Next = ""
	return o
}
