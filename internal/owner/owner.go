// Package owner has the process that holds something, such as a connection, answer
// for it to the other processes of a fleet.
package owner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/hand"
)

// Serve answers questions about a name until stop is called. Both sides are JSON.
func Serve[Q, A any](f fleet.Fleet, name string, answer func(context.Context, Q) A) (stop func(), err error) {
	return f.Serve(name, func(ctx context.Context, body []byte, _ func([]byte) error) ([]byte, error) {
		var q Q
		if err := json.Unmarshal(body, &q); err != nil {
			return nil, fmt.Errorf("nothing was done: the question is not understood, perhaps because it comes from another version of this server: %w", err)
		}
		return json.Marshal(answer(ctx, q))
	})
}

// Ask asks whoever serves a name. Its errors are those of [fleet.Fleet].
func Ask[Q, A any](ctx context.Context, f fleet.Fleet, name string, q Q) (a A, err error) {
	body, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	var all []byte
	for part, err := range f.Ask(ctx, name, body) {
		if err != nil {
			return a, err
		}
		all = append(all, part...)
	}
	return a, json.Unmarshal(all, &a)
}

// Trouble is an error on its way from the owner: what tools make a difference of.
type Trouble struct {
	Client *client.Error   `json:"client,omitempty"`
	Held   *hand.HeldError `json:"held,omitempty"`
	Text   string          `json:"text,omitempty"`
}

// TroubleOf makes one of an error; nil where there is none.
func TroubleOf(err error) *Trouble {
	if err == nil {
		return nil
	}
	var failed *client.Error
	var held *hand.HeldError
	switch {
	case errors.As(err, &held):
		return &Trouble{Held: held}
	case errors.As(err, &failed):
		c := *failed
		if c.Message == "" && c.Err != nil {
			c.Message = c.Err.Error()
		}
		c.Err = nil // a cause means nothing elsewhere
		return &Trouble{Client: &c}
	}
	return &Trouble{Text: err.Error()}
}

// Err is the error again.
func (t *Trouble) Err() error {
	switch {
	case t == nil:
		return nil
	case t.Held != nil:
		return t.Held
	case t.Client != nil:
		return t.Client
	}
	return errors.New(t.Text)
}
