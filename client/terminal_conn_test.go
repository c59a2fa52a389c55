package client

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func TestTerminalReadLimit(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		_ = ws.Write(context.Background(), websocket.MessageText, make([]byte, maxFrame+1))
		_ = ws.CloseNow()
	})
	conn, err := openTerminal(t, c, "i", TerminalOptions{Family: TerminalRaw})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readUntil(t, conn, ""); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v", err)
	}
}

// A peer that answers no ping is found out, also while the terminal is silent.
func TestTerminalDeadPeer(t *testing.T) {
	over := make(chan struct{})
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil) // and never reads
		if err != nil {
			return
		}
		<-over
		_ = ws.CloseNow()
	})
	defer close(over)
	conn, err := openTerminal(t, c, "i", TerminalOptions{Family: TerminalTyped, ping: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	_, err = readUntil(t, conn, "")
	if e := wantError(t, err); !strings.Contains(e.Message, "ping") {
		t.Errorf("%v", e)
	}
}

func TestTerminalErrorThenClose(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		_ = ws.Write(context.Background(), websocket.MessageText, []byte(`{"type":"error","message":"sandbox asleep"}`))
		_ = ws.Close(1011, "bye")
	})
	conn, err := openTerminal(t, c, "i", TerminalOptions{})
	if err == nil {
		_, err = readUntil(t, conn, "")
	}
	if e := wantError(t, err); !strings.Contains(e.Message, "sandbox asleep") || !strings.Contains(e.Message, "bye") || e.Code != "close code 1011" {
		t.Errorf("%+v", e)
	}
}
