package natsfleet

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"openclaw-mcp/internal/fleet"
)

// Facts are a key-value bucket as NATS's own tools know it: a stream that keeps the last
// message of each subject for a day. A fact that is forgotten leaves a marker.

// The errors of JetStream that say something else than that it can't be used now.
const (
	errWrongSequence = 10071 // somebody else was faster
	errNoMessage     = 10037
	errInUse         = 10058 // the stream is there with another configuration
	errOverlap       = 10065 // another process makes it at this moment
)

const (
	headExpected  = "Nats-Expected-Last-Subject-Sequence"
	headOperation = "KV-Operation"
	operationGone = "DEL"
)

// bucket is the bucket, once it is known to be there.
type bucket struct {
	mu    sync.Mutex
	ready bool
}

// apiError is JetStream's.
type apiError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

func (e *apiError) Error() string {
	return fmt.Sprintf("JetStream: %s (%d)", e.Description, e.ErrCode)
}

func isCode(err error, code int) bool {
	e, ok := errors.AsType[*apiError](err)
	return ok && e.ErrCode == code
}

func (f *Fleet) bucketName() string { return f.cfg.Prefix + "_day" }

func (f *Fleet) key(name string) string { return "$KV." + f.bucketName() + "." + fleet.Address(name) }

// request sends a request to JetStream, and reads the answer into out.
func (f *Fleet) request(ctx context.Context, m *nats.Msg, out any) error {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.RequestTime)
	defer cancel()
	answer, err := f.nc.RequestMsgWithContext(ctx, m)
	// JetStream may be a moment behind its server, as after a start: nothing was done then.
	for tries := 0; errors.Is(err, nats.ErrNoResponders) && tries < 10 && ctx.Err() == nil; tries++ {
		time.Sleep(50 * time.Millisecond)
		answer, err = f.nc.RequestMsgWithContext(ctx, m)
	}
	if err != nil {
		return err
	}
	var failed struct{ Error *apiError }
	if err := json.Unmarshal(answer.Data, &failed); err != nil {
		return err
	}
	if failed.Error != nil {
		return failed.Error
	}
	return json.Unmarshal(answer.Data, out)
}

// prepare makes the bucket at its first use: NATS may be away when the process starts.
func (f *Fleet) prepare(ctx context.Context) error {
	f.bucket.mu.Lock()
	defer f.bucket.mu.Unlock()
	if f.bucket.ready {
		return nil
	}
	stream := "KV_" + f.bucketName()
	config, _ := json.Marshal(map[string]any{
		"name": stream, "subjects": []string{"$KV." + f.bucketName() + ".>"}, "retention": "limits", "storage": "file",
		"num_replicas": f.cfg.Replicas, "max_msgs_per_subject": 1, "max_age": fleet.Day.Nanoseconds(), "discard": "new",
		"max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "max_msg_size": -1, "duplicate_window": (2 * time.Minute).Nanoseconds(),
		"deny_delete": true, "allow_rollup_hdrs": true, "allow_direct": true,
	})
	var answer struct{}
	err := f.request(ctx, &nats.Msg{Subject: "$JS.API.STREAM.CREATE." + stream, Data: config}, &answer)
	for tries := 0; isCode(err, errOverlap) && tries < 20 && ctx.Err() == nil; tries++ {
		time.Sleep(50 * time.Millisecond)
		if there := f.request(ctx, &nats.Msg{Subject: "$JS.API.STREAM.INFO." + stream}, &answer); there == nil {
			err = nil
		}
	}
	if isCode(err, errInUse) {
		err = f.request(ctx, &nats.Msg{Subject: "$JS.API.STREAM.UPDATE." + stream, Data: config}, &answer)
	}
	if err != nil {
		return err
	}
	f.bucket.ready = true
	return nil
}

// put writes a key if its last message has this sequence number, 0 for none, and gives
// the new one.
func (f *Fleet) put(ctx context.Context, name string, value []byte, last uint64, gone bool) (uint64, error) {
	if err := f.prepare(ctx); err != nil {
		return 0, err
	}
	m := nats.NewMsg(f.key(name))
	m.Header.Set(headExpected, strconv.FormatUint(last, 10))
	if gone {
		m.Header.Set(headOperation, operationGone)
	}
	m.Data = value
	var ack struct{ Seq uint64 }
	err := f.request(ctx, m, &ack)
	if err == nil || isCode(err, errWrongSequence) {
		return ack.Seq, err
	}
	// The answer may be lost, and the write not. ctx may have ended with it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.cfg.RequestTime)
	defer cancel()
	now, found := f.get(ctx, name)
	if found == nil && now.seq > last && now.gone == gone && bytes.Equal(now.value, value) {
		return now.seq, nil
	}
	return 0, err
}

// stored is what a key holds.
type stored struct {
	seq   uint64 // 0: there is none
	value []byte
	gone  bool
}

// get reads a key from the leader: who is asked directly may be behind.
func (f *Fleet) get(ctx context.Context, name string) (stored, error) {
	if err := f.prepare(ctx); err != nil {
		return stored{}, err
	}
	ask, _ := json.Marshal(map[string]string{"last_by_subj": f.key(name)})
	var answer struct {
		Message struct {
			Seq        uint64
			Data, Hdrs []byte
		}
	}
	err := f.request(ctx, &nats.Msg{Subject: "$JS.API.STREAM.MSG.GET.KV_" + f.bucketName(), Data: ask}, &answer)
	if isCode(err, errNoMessage) {
		return stored{}, nil
	}
	if err != nil {
		return stored{}, err
	}
	s := stored{seq: answer.Message.Seq, value: answer.Message.Data}
	if _, headers, ok := strings.Cut(string(answer.Message.Hdrs), "\r\n"); ok {
		h, err := textproto.NewReader(bufio.NewReader(strings.NewReader(headers))).ReadMIMEHeader()
		if err != nil {
			return stored{}, err
		}
		s.gone = h.Get(headOperation) != ""
	}
	return s, nil
}

func (s stored) fact(name string) fleet.Fact {
	return fleet.NewFact(name, s.value, strconv.FormatUint(s.seq, 10))
}

// Find implements [fleet.Fleet].
func (f *Fleet) Find(ctx context.Context, name string) (fleet.Fact, bool, error) {
	s, err := f.get(ctx, name)
	if err != nil {
		return fleet.Fact{}, false, away(err)
	}
	return s.fact(name), s.seq > 0 && !s.gone, nil
}

// Create implements [fleet.Fleet].
func (f *Fleet) Create(ctx context.Context, name string, value []byte) (fleet.Fact, bool, error) {
	for last := uint64(0); ; {
		seq, err := f.put(ctx, name, value, last, false)
		if err == nil {
			return stored{seq: seq, value: bytes.Clone(value)}.fact(name), true, nil
		}
		if !isCode(err, errWrongSequence) {
			return fleet.Fact{}, false, away(err)
		}
		now, err := f.get(ctx, name)
		if err != nil {
			return fleet.Fact{}, false, away(err)
		}
		if now.seq > 0 && !now.gone {
			return now.fact(name), false, nil
		}
		last = now.seq // forgotten, or too old: nothing holds
		if err := ctx.Err(); err != nil {
			return fleet.Fact{}, false, away(err)
		}
	}
}

func sequence(fact fleet.Fact) uint64 {
	n, _ := strconv.ParseUint(fact.Version(), 10, 64) // ours
	return n
}

// Change implements [fleet.Fleet].
func (f *Fleet) Change(ctx context.Context, fact fleet.Fact, value []byte) (fleet.Fact, error) {
	seq, err := f.put(ctx, fact.Name, value, sequence(fact), false)
	switch {
	case err == nil:
		return stored{seq: seq, value: bytes.Clone(value)}.fact(fact.Name), nil
	case isCode(err, errWrongSequence):
		return fleet.Fact{}, fleet.ErrChanged
	}
	return fleet.Fact{}, away(err)
}

// Forget implements [fleet.Fleet].
func (f *Fleet) Forget(ctx context.Context, fact fleet.Fact) error {
	_, err := f.put(ctx, fact.Name, nil, sequence(fact), true)
	if err == nil {
		return nil
	}
	if !isCode(err, errWrongSequence) {
		return away(err)
	}
	now, err := f.get(ctx, fact.Name)
	switch {
	case err != nil:
		return away(err)
	case now.seq > 0 && !now.gone:
		return fleet.ErrChanged
	}
	return nil
}
