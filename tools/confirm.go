package tools

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/runs"
)

// ConfirmPolicy says what happens before a tool destroys something.
type ConfirmPolicy string

// The policies.
const (
	ConfirmAsk   ConfirmPolicy = "ask"   // the user is asked, or the model has to be told to go on
	ConfirmAllow ConfirmPolicy = "allow" // nothing: the client's own approval is enough
	ConfirmDeny  ConfirmPolicy = "deny"  // it is refused
)

// confirmFor is how long a confirmation token is good.
const confirmFor = 10 * time.Minute

// Confirmer asks before what destroys. Where the client can put a question to
// its user, that is done. Where it can't, or does not, the first call is
// answered with a token, and a second one with that token goes through: by
// then the model has been told what it is about to do, and to ask.
//
// Tokens are signed with a key that is derived from the caller's, so that any process
// of the caller's takes them. They are good once in all of them, or once in each while
// these can't agree.
type Confirmer struct {
	policy ConfirmPolicy

	mu    sync.Mutex
	used  map[string]time.Time // tokens are good once
	swept time.Time
}

// NewConfirmer makes a Confirmer.
func NewConfirmer(policy ConfirmPolicy) *Confirmer {
	return &Confirmer{policy: policy, used: make(map[string]time.Time)}
}

// confirmKey signs the confirmations of one caller.
func (r *request) confirmKey() ([]byte, error) {
	return hkdf.Key(sha256.New, []byte(r.Runs.Config.APIKey), []byte("openclaw-mcp"), "confirmation v1", sha256.Size)
}

// unconfirmedError is a call that has to be confirmed first.
type unconfirmedError struct {
	text string
	ask  *Question // to be put to the user through the client
}

func (e *unconfirmedError) Error() string { return e.text }

// errDenied is the answer of ConfirmDeny.
var errDenied = errors.New("this server refuses all calls that need a confirmation (OPENCLAW_MCP_CONFIRM=deny): nothing was done")

// asks reports whether the user is asked.
func (c *Confirmer) asks() bool { return c.policy != ConfirmAllow && c.policy != ConfirmDeny }

// confirm returns nil if the call may go on. what says, for the user, what it will do.
// exact has all that the confirmation is bound to, besides the tool and the caller: what
// may leave out what goes without saying.
func (r *request) confirm(ctx context.Context, what, exact, token string) error {
	return r.confirmAfter(ctx, "Nothing was done.", what, exact, token)
}

// confirmAfter is confirm for a call that did something already, which done says.
func (r *request) confirmAfter(ctx context.Context, done, what, exact, token string) error {
	c := r.Confirm
	switch c.policy {
	case ConfirmAllow:
		return nil
	case ConfirmDeny:
		return errDenied
	}
	key, err := r.confirmKey()
	if err != nil {
		return err
	}
	subject := r.confirmSubject(ctx, exact)
	answer := r.exchange.Answer
	if answer != nil && answer.Declined {
		_ = c.redeem(ctx, r.Fleet, key, subject, answer.State) // no later yes answers this question
		return declined(r.tool.Name, done)
	}
	if token != "" {
		return c.redeem(ctx, r.Fleet, key, subject, token)
	}
	if answer != nil && answer.Yes {
		return c.redeem(ctx, r.Fleet, key, subject, answer.State)
	}
	fresh := newConfirmation(key, subject)
	text := fmt.Sprintf("%s needs a confirmation: %s %s If the user wants this, call it again with the same arguments and confirm: %q (good once, for %s).",
		r.tool.Name, what, done, fresh, confirmFor)
	if r.exchange.CanAsk && answer == nil {
		return &unconfirmedError{text: text, ask: &Question{Text: what + " Go ahead?", State: fresh}}
	}
	if answer != nil {
		text = "the client did not pass on the user's answer, if it asked at all: ask the user. " + text
	}
	return &unconfirmedError{text: text}
}

// declined is the answer to a call that the user said no to. It gives no token, and the
// question is put again only to who calls again.
func declined(tool, done string) error {
	return &unconfirmedError{text: tool + " was declined by the user. " + done +
		" Don't do it by other means, and call it again only if the user asks for it." +
		" (If nobody was asked, the client declines by itself; OPENCLAW_MCP_CONFIRM=allow leaves asking to it.)"}
}

// askPerson is confirm for a page, which puts the question to its person by itself: it
// gives a token that goes back with a yes, or "" where that came back. One click must not
// destroy, so that a page asks even where the model need not.
func (r *request) askPerson(ctx context.Context, what, token string) (fresh string, err error) {
	if r.Confirm.policy == ConfirmDeny {
		return "", errDenied
	}
	key, err := r.confirmKey()
	if err != nil {
		return "", err
	}
	subject := r.confirmSubject(ctx, what)
	if token == "" {
		return newConfirmation(key, subject), nil
	}
	err = r.Confirm.redeem(ctx, r.Fleet, key, subject, token)
	if errors.As(err, new(*argumentError)) {
		return "", errAskAgain
	}
	return "", err
}

// errAskAgain is a yes that is not, or no longer, good. A person reads it.
var errAskAgain = &unconfirmedError{text: "Nothing was done: this question was answered before, or is too old. Press the button again."}

// confirmSubject is what a confirmation is bound to.
func (r *request) confirmSubject(ctx context.Context, exact string) string {
	return r.Principal(ctx) + "\x00" + r.tool.Name + "\x00" + exact
}

// newConfirmation makes a token for one subject: its expiry and a nonce, signed.
func newConfirmation(key []byte, subject string) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(time.Now().Add(confirmFor).Unix()))
	b = append(b, rand.Text()[:8]...)
	return encodeToken(append(b, signConfirmation(key, subject, b)...))
}

func encodeToken(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func signConfirmation(key []byte, subject string, b []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(b)
	h.Write([]byte(subject))
	return h.Sum(nil)[:12]
}

// awayPatience is how long what joins the processes is waited for: servers of NATS that lost
// one of them need up to 9 s to elect who goes on.
const awayPatience = 10 * time.Second

// redeem uses a token up.
func (c *Confirmer) redeem(ctx context.Context, f fleet.Fleet, key []byte, subject, token string) error {
	const head = 4 + 8
	b, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimSpace(token))
	if err != nil || len(b) != head+12 || !hmac.Equal(b[head:], signConfirmation(key, subject, b[:head])) {
		return badArgument("argument \"confirm\" is not the confirmation of this very call; leave it out to get one, and then repeat the same arguments with it")
	}
	// What it decodes to is remembered: it can be spelled in several ways.
	if expiry := time.Unix(int64(binary.BigEndian.Uint32(b)), 0); time.Now().After(expiry) || !c.first(string(b), expiry) {
		return errConfirmUsed
	}
	name := "used/" + encodeToken(b)
	_, ours, err := f.Create(ctx, name, nil)
	for end := time.Now().Add(awayPatience); errors.Is(err, fleet.ErrAway) && time.Now().Before(end) && runs.Pause(ctx, 250*time.Millisecond); {
		_, ours, err = f.Create(ctx, name, nil)
	}
	switch {
	case errors.Is(err, fleet.ErrAway): // then it is good once in each process
		return nil
	case err != nil:
		return fmt.Errorf("whether the confirmation was used before could not be found out, so nothing was done: %w", err)
	case !ours:
		return errConfirmUsed
	}
	return nil
}

var errConfirmUsed = badArgument("argument \"confirm\" was used before or has expired; leave it out to get a new one")

// first reports whether a token is new here, and remembers it until it expires.
func (c *Confirmer) first(token string, expiry time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.swept) > time.Minute {
		c.swept = now
		for t, until := range c.used {
			if now.After(until) {
				delete(c.used, t)
			}
		}
	}
	if _, again := c.used[token]; again {
		return false
	}
	c.used[token] = expiry
	return true
}
