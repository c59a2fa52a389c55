//go:build e2e

package hostile

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// host is a client over stdio.
type host struct {
	*process
	t    testing.TB
	last int
	all  strings.Builder // what the binary has written
}

func newHost(t testing.TB, env ...string) *host {
	t.Helper()
	h := &host{process: start(t, append([]string{"OPENCLAW_MCP_CONFIRM=allow", "OPENCLAW_API_KEY=" + serverKey}, env...)), t: t}
	h.request("initialize", params{"protocolVersion": legacy, "capabilities": params{}, "clientInfo": params{"name": "host", "version": "1"}})
	h.write(params{"jsonrpc": "2.0", "method": "notifications/initialized"})
	return h
}

func (h *host) write(m params) {
	b, err := json.Marshal(m)
	if err == nil {
		_, err = h.stdin.Write(append(b, '\n'))
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// request sends a request and gives its answer, and the notifications before it.
func (h *host) request(method string, p params) (answer json.RawMessage, before []json.RawMessage) {
	h.t.Helper()
	h.last++
	h.write(params{"jsonrpc": "2.0", "id": h.last, "method": method, "params": p})
	timer := time.AfterFunc(2*patience, func() { _ = h.cmd.Process.Kill() })
	defer timer.Stop()
	for {
		line, err := h.stdout.ReadString('\n')
		if err != nil {
			h.t.Fatalf("%s: no answer: %v; the log:\n%s", method, err, h.log)
		}
		h.all.WriteString(line)
		var m struct {
			ID            *int
			Result, Error json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			h.t.Fatalf("%s: %v", line, err)
		}
		if m.ID == nil || *m.ID != h.last {
			before = append(before, json.RawMessage(line))
			continue
		}
		if m.Error != nil {
			return m.Error, before
		}
		return m.Result, before
	}
}

// tool calls a tool and gives its text.
func (h *host) tool(name string, args params) (text string, isError bool) {
	h.t.Helper()
	answer, _ := h.request("tools/call", params{"name": name, "arguments": args, "_meta": params{"progressToken": fmt.Sprint("t", h.last)}})
	var r struct {
		Content []struct{ Text string }
		IsError bool
	}
	if err := json.Unmarshal(answer, &r); err != nil || len(r.Content) == 0 {
		return string(answer), true
	}
	return r.Content[0].Text, r.IsError
}
