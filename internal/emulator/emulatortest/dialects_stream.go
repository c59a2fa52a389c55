package emulatortest

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
)

// translateMessage translates the events of chat/events.
func (s *Server) translateMessage(w http.ResponseWriter) func(id, name string, data []byte) {
	return func(id, name string, data []byte) {
		writeEvent(w, id, s.eventName(name), encode(s.messageEvent(id, data)))
	}
}

func (s *Server) eventName(name string) string {
	if s.opts.Messages == Wrapped {
		return ""
	}
	return name
}

func (s *Server) messageEvent(id string, data []byte) object {
	var o object
	_ = json.Unmarshal(data, &o)
	o = s.opts.Messages.message(o)
	if s.opts.Messages == Wrapped {
		seq, _ := strconv.Atoi(id)
		return object{"type": "message", "seq": seq, "message": o}
	}
	return o
}

// translateDone translates the message that the last event of a stream holds.
func (s *Server) translateDone(w http.ResponseWriter) func(id, name string, data []byte) {
	return func(id, name string, data []byte) {
		if name == "done" {
			var o object
			_ = json.Unmarshal(data, &o)
			message, _ := o["message"].(object)
			data = encode(object{"message": s.opts.Messages.message(message)})
		}
		writeEvent(w, id, name, data)
	}
}

// poll answers chat/events as a long poll: once there is at least one message,
// or with none after a while. It reads the emulator's stream for that.
func (s *Server) poll(t *translator, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), s.opts.PollWait)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	list, next := []object{}, r.URL.Query().Get("after")
	t.hold = true
	t.event = func(id, _ string, data []byte) {
		var o object
		_ = json.Unmarshal(data, &o)
		list, next = append(list, s.opts.Messages.message(o)), id
		cancel() // the emulator writes all that it has before it looks
	}
	s.service.ServeHTTP(t, r.WithContext(ctx))
	if !t.stream {
		t.finish()
		return
	}
	if r.Context().Err() != nil {
		return
	}
	var cursor any = next
	if n, err := strconv.Atoi(next); err == nil || next == "" {
		cursor = n
	}
	t.Header().Set("Content-Type", "application/json; charset=utf-8")
	t.ResponseWriter.WriteHeader(http.StatusOK)
	t.ResponseWriter.Write(encode(object{"events": list, "next": cursor}))
}
