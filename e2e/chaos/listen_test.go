//go:build e2e && linux

package chaos

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"
)

// tell sends the service a request, past all replicas.
func (w *world) tell(path, body string) (answer []byte) {
	r := httptest.NewRequest(http.MethodPost, "/api/instances/"+w.instance+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+serviceKey)
	r.Header.Set("Content-Type", "application/json")
	res := httptest.NewRecorder()
	w.service.ServeHTTP(res, r)
	if res.Code >= 300 {
		w.violation("harness: POST %s: status %d, %s", path, res.Code, res.Body)
	}
	return res.Body.Bytes()
}

// createSession makes a chat session, past all replicas.
func (w *world) createSession() string {
	var session struct{ ID string }
	if err := json.Unmarshal(w.tell("/chat/sessions", "{}"), &session); err != nil || session.ID == "" {
		w.violation("harness: no session: %v", err)
	}
	w.speaksIn(session.ID)
	return session.ID
}

// listen is a legacy client that subscribes to a session's messages, by one request,
// and hears of them on a stream of its own, perhaps of another replica.
func (w *world) listen(ctx context.Context, transport *http.Transport) {
	c := newClient(w.proxy.URL, legacy, "listener", transport)
	session := w.createSession()
	uri := "openclaw://instances/" + w.instance + "/sessions/" + session + "/messages"
	for n := 1; ctx.Err() == nil; n++ {
		if !c.opened() && c.open(ctx) != nil {
			pauseShortly(ctx)
			continue
		}
		o := c.await(ctx, fmt.Sprintf(`"subscribe-%d"`, n), "resources/subscribe", params{"uri": uri})
		if !o.done() {
			w.trouble(uri, o)
			if strings.Contains(o.refused, "404") {
				c.session = ""
			}
			pauseShortly(ctx)
			continue
		}
		w.hear(ctx, c, uri, session)
	}
	c.close()
}

func pauseShortly(ctx context.Context) {
	select {
	case <-time.After(100 * time.Millisecond):
	case <-ctx.Done():
	}
}

// hear opens the stream and changes the session until the stream breaks; each change
// has to be announced.
func (w *world) hear(ctx context.Context, c *client, uri, session string) {
	streaming, stop := context.WithCancel(ctx)
	defer stop()
	r, err := http.NewRequestWithContext(streaming, http.MethodGet, c.url, nil)
	if err != nil {
		w.violation("harness: %v", err)
		return
	}
	c.headers(r)
	r.Header.Set("Accept", "text/event-stream")
	res, err := c.http.Do(r)
	if err != nil {
		w.trouble("listening", outcome{err: err})
		pauseShortly(ctx)
		return
	}
	defer res.Body.Close()
	w.count(fmt.Sprintf("listening %d", res.StatusCode), 0)
	if res.StatusCode != http.StatusOK {
		if res.StatusCode == http.StatusNotFound {
			c.session = ""
		}
		pauseShortly(ctx)
		return
	}
	news := make(chan struct{}, 100)
	go func() {
		defer close(news)
		lines := bufio.NewScanner(res.Body)
		for lines.Scan() {
			data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data:"))
			var m wireMessage
			if ok && json.Unmarshal(data, &m) == nil && strings.HasSuffix(m.Method, "resources/updated") && m.Params.URI == uri {
				select {
				case news <- struct{}{}:
				default:
				}
			}
		}
	}()
	for i := 1; ; i++ {
		before := w.disturbances()
		w.tell("/chat", fmt.Sprintf(`{"session_id":%q,"message":"mark-listener-%d- say 1 words"}`, session, i))
		select {
		case _, open := <-news:
			if !open {
				return
			}
			w.count("announced", 0)
		case <-time.After(10 * time.Second):
			// A disturbance in these ten seconds may have broken a stream without anybody having noticed yet.
			if w.disturbances() == before {
				w.violation("I7: a change of %s was not announced within 10 s, and the stream did not break", uri)
			}
			return
		case <-ctx.Done():
			return
		}
		quiet := time.After(500 * time.Millisecond) // one change may be told more than once
		for told := true; told; {
			select {
			case _, told = <-news:
				if !told {
					return
				}
			case <-quiet:
				told = false
			case <-ctx.Done():
				return
			}
		}
	}
}
