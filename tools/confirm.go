package tools

import (
	"context"
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
type Confirmer struct {
	policy ConfirmPolicy
	key    []byte

	mu   sync.Mutex
	used map[string]time.Time // tokens are good once
}

// NewConfirmer makes a Confirmer. Its tokens are good for its own process only.
func NewConfirmer(policy ConfirmPolicy) *Confirmer {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return &Confirmer{policy: policy, key: key, used: make(map[string]time.Time)}
}

// unconfirmedError is a call that has to be confirmed first.
type unconfirmedError struct {
	text string
	ask  *Question // to be put to the user through the client
}

func (e *unconfirmedError) Error() string { return e.text }

// errDenied is the answer of ConfirmDeny.
var errDenied = errors.New("this server refuses everything that destroys (OPENCLAW_MCP_CONFIRM=deny): nothing was done")

// confirm returns nil if the call may go on. what says, for the user, what it
// will do; it also binds the confirmation to this very call.
func (r *request) confirm(ctx context.Context, what, token string) error {
	c := r.Confirm
	switch c.policy {
	case ConfirmAllow:
		return nil
	case ConfirmDeny:
		return errDenied
	}
	subject := r.Principal(ctx) + "\x00" + r.tool.Name + "\x00" + what
	if token != "" {
		return c.redeem(subject, token)
	}
	answer := r.exchange.Answer
	if answer != nil && answer.Yes {
		return c.redeem(subject, answer.State)
	}
	fresh := c.token(subject)
	text := fmt.Sprintf("%s needs a confirmation: %s Nothing was done yet. If the user wants this, call it again with the same arguments and confirm: %q (good once, for %s).",
		r.tool.Name, what, fresh, confirmFor)
	if r.exchange.CanAsk && answer == nil {
		return &unconfirmedError{text: text, ask: &Question{Text: what + " Shall it be done?", State: fresh}}
	}
	if answer != nil {
		// Some clients decline by themselves, so this is not taken for the
		// user's word; but it may be.
		text = "the client did not pass on a yes. It may have asked its user, who said no, or it may not ask at all: ask the user. " + text
	}
	return &unconfirmedError{text: text}
}

// token makes a confirmation for one subject: its expiry and a nonce, signed.
func (c *Confirmer) token(subject string) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(time.Now().Add(confirmFor).Unix()))
	b = append(b, rand.Text()[:8]...)
	return encodeToken(append(b, c.sign(subject, b)...))
}

func encodeToken(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (c *Confirmer) sign(subject string, b []byte) []byte {
	h := hmac.New(sha256.New, c.key)
	h.Write(b)
	h.Write([]byte(subject))
	return h.Sum(nil)[:12]
}

func (c *Confirmer) redeem(subject, token string) error {
	const head = 4 + 8
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimSpace(token))
	if err != nil || len(b) != head+12 || !hmac.Equal(b[head:], c.sign(subject, b[:head])) {
		return badArgument("argument \"confirm\" is not the confirmation of this very call; leave it out to get one, and then repeat the same arguments with it")
	}
	now := time.Now()
	expiry := time.Unix(int64(binary.BigEndian.Uint32(b)), 0)
	c.mu.Lock()
	defer c.mu.Unlock()
	for t, until := range c.used {
		if now.After(until) {
			delete(c.used, t)
		}
	}
	if _, again := c.used[token]; again || now.After(expiry) {
		return badArgument("argument \"confirm\" was used before or has expired; leave it out to get a new one")
	}
	c.used[token] = expiry
	return nil
}
