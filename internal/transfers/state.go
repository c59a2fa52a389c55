package transfers

import "openclaw-mcp/internal/runs"

// options are the options of a transfer as a handle carries them.
type options byte

const (
	optionKeep options = 1 << iota
	optionAll
	optionInside
	optionAgreed
)

// state is what a handle carries of a transfer.
type state struct {
	Kind          runs.Kind
	ID, Instance  string
	Local, Remote string // the two ends
	Options       options
	Agreed        string
}

func (s state) own() string {
	b := append(runs.AppendText(runs.AppendText(nil, s.Local), s.Remote), byte(s.Options))
	if s.Options&optionAgreed != 0 {
		b = runs.AppendText(b, s.Agreed)
	}
	return string(b)
}

func stateOf(h runs.State) (state, error) {
	d := runs.NewDecoder(h.Own)
	s := state{Kind: h.Kind, ID: h.ID, Instance: h.Instance, Local: d.Text(), Remote: d.Text(), Options: options(d.Byte())}
	if s.Options&optionAgreed != 0 {
		s.Agreed = d.Text()
	}
	return s, d.End()
}

// Remote gives the path on the instance of a transfer's handle, and "" for other
// kinds of runs.
func Remote(h runs.State) string {
	if h.Kind != runs.KindUpload && h.Kind != runs.KindDownload {
		return ""
	}
	s, _ := stateOf(h)
	return s.Remote
}
