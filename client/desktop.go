package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"openclaw-mcp/internal/rfb"
)

// DesktopService reaches the remote desktop of an instance.
type DesktopService struct{ core *core }

// DesktopOptions say how to connect to a desktop. The zero value works.
type DesktopOptions struct {
	// Password is for desktops that ask for one. None is tried first, and this
	// one only when that is refused.
	Password string
	// Patience is how long the desktop may take to answer at each attempt
	// (10 s).
	Patience time.Duration
	// Reserve is [rfb.Options.Reserve].
	Reserve func(pixels int) error
}

// Connect opens the desktop of an instance (WS /instances/{id}/vnc/ws). ctx
// bounds the connecting alone. Every error, later ones of the connection
// included, is an *[Error].
//
// The service's socket is tried without a subprotocol first, and with "binary"
// where that leads to no desktop and not to a clear refusal.
func (s *DesktopService) Connect(ctx context.Context, instance string, o DesktopOptions) (*rfb.Conn, error) {
	path, op, err := instancePath(http.MethodGet, instance, "/vnc/ws")
	if err != nil {
		return nil, err
	}
	d := &desktopDial{core: s.core, call: call{op: op, method: http.MethodGet, path: path}, patience: o.Patience, reserve: o.Reserve}
	if d.patience <= 0 {
		d.patience = 10 * time.Second
	}
	conn, err := d.connect(ctx, "")
	var auth *rfb.AuthError
	if errors.As(err, &auth) && auth.Password {
		if o.Password == "" {
			e := d.fail(auth)
			e.Message += "; the desktop wants a password, and none is set"
			return nil, e
		}
		conn, err = d.connect(ctx, o.Password)
	}
	if err != nil {
		return nil, d.fail(err)
	}
	return conn, nil
}

// CodeDesktopPassword is the Code of errors that another password may fix.
const CodeDesktopPassword = "desktop_password"

// desktopDial is the attempts at one desktop.
type desktopDial struct {
	core        *core
	call        call
	patience    time.Duration
	reserve     func(pixels int) error
	subprotocol string // that has worked
}

// connect tries without a subprotocol and with one.
func (d *desktopDial) connect(ctx context.Context, password string) (*rfb.Conn, error) {
	conn, err := d.attempt(ctx, d.subprotocol, password)
	if err == nil || d.subprotocol != "" || ctx.Err() != nil || !worthBinary(err) {
		return conn, err
	}
	conn, second := d.attempt(ctx, "binary", password)
	if second == nil {
		d.subprotocol = "binary"
		return conn, nil
	}
	var auth *rfb.AuthError
	if errors.As(second, &auth) {
		d.subprotocol = "binary"
		return nil, second
	}
	first, other := d.fail(err), d.fail(second)
	if ctx.Err() == nil && other.Error() != first.Error() {
		first.Message += "; with the subprotocol \"binary\": " + other.Message
	}
	return nil, first
}

// worthBinary reports whether another subprotocol may help: not when the service
// has said clearly what is wrong.
func worthBinary(err error) bool {
	var e *Error
	var auth *rfb.AuthError
	switch {
	case errors.As(err, &auth):
		return false
	case errors.As(err, &e):
		switch e.Status {
		case 0:
			return !errors.Is(e, errReported) && e.Code != "close code 1011" && !isDialError(e.Err)
		case http.StatusBadRequest, http.StatusNotAcceptable, http.StatusUpgradeRequired, http.StatusOK:
			return true
		}
		return false
	}
	return true
}

func (d *desktopDial) attempt(ctx context.Context, subprotocol, password string) (*rfb.Conn, error) {
	limited, cancel := context.WithTimeout(ctx, d.patience)
	defer cancel()
	var offered []string
	if subprotocol != "" {
		offered = []string{subprotocol}
	}
	ws, err := d.core.dialSocket(limited, d.call, maxDesktopMessage, offered...)
	if err == nil {
		stream := newDesktopStream(d.core, d.call, ws)
		var conn *rfb.Conn
		conn, err = rfb.Connect(limited, stream, rfb.Options{Password: password, Reserve: d.reserve, Wrap: func(err error) error {
			var auth *rfb.AuthError
			if errors.As(err, &auth) {
				return err // for Connect to see
			}
			return d.fail(err)
		}})
		if err == nil {
			return conn, nil
		}
	}
	if limited.Err() != nil && ctx.Err() == nil {
		return nil, d.fail(&Error{Err: context.DeadlineExceeded, Message: fmt.Sprintf("the desktop said nothing within %s", d.patience)})
	}
	return nil, err
}

// fail makes an *Error of what ended a connection, or the attempt at one.
func (d *desktopDial) fail(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		c := *e
		c.Outcome = "" // to look at a desktop changes nothing
		return d.core.finish(d.call, &c)
	case errors.Is(err, context.Canceled):
		e = &Error{Message: "the call was cancelled before the desktop answered"}
	case errors.Is(err, context.DeadlineExceeded):
		e = &Error{Message: "the caller's deadline passed before the desktop answered"}
	default:
		e = &Error{Message: "desktop: " + oneLine(err.Error(), maxErrorMessage)}
	}
	e.Err = err
	var auth *rfb.AuthError
	if errors.As(err, &auth) && auth.Password {
		e.Code = CodeDesktopPassword
	}
	return d.core.finish(d.call, e)
}
