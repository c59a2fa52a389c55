package fleet

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"iter"
	"strconv"
	"sync"
	"time"

	"openclaw-mcp/internal/seal"
)

const (
	// maxAge is how old a question or a piece of news may be. Clocks of replicas
	// differ by less.
	maxAge = time.Minute
	// maxSealed is how long one body may be.
	maxSealed = 32 << 20
	nonceSize = 12
)

// Sealed is f for one principal. Names become an HMAC, and bodies are sealed, both
// under keys derived from key and the principal's name, so that whoever runs the
// engine sees neither, and can't forge, exchange or replay a question, an answer or
// news. What it can do is to hold things back, and to put a fact back to an older
// value. Close ends what was served and heard through it, and leaves f open.
func Sealed(f Fleet, key, principal string) (Fleet, error) {
	names, err := hkdf.Key(sha256.New, []byte(key), []byte("openclaw-mcp"), "fleet names v1\x00"+principal, 32)
	if err != nil {
		return nil, err
	}
	sealer, err := seal.New([]byte(key), "fleet v1", principal, "", maxSealed)
	if err != nil {
		return nil, err
	}
	s := &sealed{f: f, names: names, seal: sealer, hidden: make(map[string]string), stops: make(map[int]func())}
	s.base, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

type sealed struct {
	f     Fleet
	names []byte // the key of the HMAC
	seal  *seal.Sealer
	asked seen // questions

	hiding sync.Mutex
	hidden map[string]string // names that were needed before

	base   context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu    sync.Mutex
	stops map[int]func()
	last  int
}

// maxHidden bounds the names that are kept with what stands for them.
const maxHidden = 1024

func (s *sealed) name(name string) string {
	s.hiding.Lock()
	defer s.hiding.Unlock()
	hidden, ok := s.hidden[name]
	if !ok {
		h := hmac.New(sha256.New, s.names)
		h.Write([]byte(name))
		hidden = hex.EncodeToString(h.Sum(nil)[:16])
		if len(s.hidden) >= maxHidden {
			clear(s.hidden)
		}
		s.hidden[name] = hidden
	}
	return hidden
}

// stamp seals a body with the time. What is sealed begins with the nonce, which
// names it.
func (s *sealed) stamp(body []byte, bound string) []byte {
	plain := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(body)), uint64(time.Now().UnixMilli()))
	return s.seal.SealBytes(append(plain, body...), bound)
}

var (
	errForeign = errors.New("this message is not from this caller")
	errOld     = errors.New("this message is too old, or was heard before: nothing was done; check that the replicas' clocks agree")
)

// unstamp opens what stamp sealed, once for each memory of what was seen.
func (s *sealed) unstamp(sealed []byte, bound string, before *seen) ([]byte, error) {
	plain, ok := s.seal.OpenBytes(sealed, bound)
	if !ok || len(plain) < 8 {
		return nil, errForeign
	}
	age := time.Since(time.UnixMilli(int64(binary.BigEndian.Uint64(plain))))
	if age > maxAge || age < -maxAge || !before.first([nonceSize]byte(sealed)) {
		return nil, errOld
	}
	return plain[8:], nil
}

// What a piece of an answer is, in its first byte. The last one says so, so that nobody
// can cut an answer short unnoticed.
const (
	partMore byte = iota
	partEnd
	partError
	partLast
)

// answerTo binds a piece of an answer to its question and its place.
func answerTo(question []byte, n int) string {
	return "answer\x00" + string(question[:nonceSize]) + strconv.Itoa(n)
}

func (s *sealed) Serve(name string, h Handler) (func(), error) {
	hidden := s.name(name)
	return s.keep(func() (func(), error) {
		return s.f.Serve(hidden, func(ctx context.Context, question []byte, part func([]byte) error) ([]byte, error) {
			if !s.enter() {
				return nil, ErrLost
			}
			defer s.wg.Done()
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			defer context.AfterFunc(s.base, cancel)()
			body, err := s.unstamp(question, "ask\x00"+hidden, &s.asked)
			if errors.Is(err, errForeign) {
				return nil, err
			}
			n := 0
			sealed := func(what byte, b []byte) []byte {
				n++
				return s.seal.SealBytes(append([]byte{what}, b...), answerTo(question, n))
			}
			var last []byte
			if err == nil {
				last, err = h(ctx, body, func(b []byte) error { return part(sealed(partMore, b)) })
			}
			switch {
			case s.base.Err() != nil && err != nil:
				return nil, ErrLost
			case err != nil:
				return sealed(partError, []byte(err.Error())), nil
			case last != nil:
				return sealed(partLast, last), nil
			}
			return sealed(partEnd, nil), nil
		})
	})
}

// enter counts a handler in, unless Close has begun.
func (s *sealed) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.base.Err() != nil {
		return false
	}
	s.wg.Add(1)
	return true
}

func (s *sealed) Ask(ctx context.Context, name string, body []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		hidden := s.name(name)
		question := s.stamp(body, "ask\x00"+hidden)
		n := 0
		for part, err := range s.f.Ask(ctx, hidden, question) {
			var said AnswerError
			if errors.As(err, &said) {
				err = ErrLost // its own words would come sealed
			}
			if err != nil {
				yield(nil, err)
				return
			}
			n++
			plain, ok := s.seal.OpenBytes(part, answerTo(question, n))
			switch {
			case !ok || len(plain) == 0:
				yield(nil, ErrLost)
				return
			case plain[0] == partError:
				yield(nil, AnswerError(plain[1:]))
				return
			case plain[0] == partEnd:
				return
			case plain[0] == partLast:
				yield(plain[1:], nil)
				return
			case !yield(plain[1:], nil):
				return
			}
		}
		yield(nil, ErrLost)
	}
}

func (s *sealed) Hear(topic string, f func([]byte)) (func(), error) {
	hidden := s.name(topic)
	return s.keep(func() (func(), error) {
		// Each of several listeners hears it: what is seen is its own.
		var heard seen
		return s.f.Hear(hidden, func(told []byte) {
			if body, err := s.unstamp(told, "tell\x00"+hidden, &heard); err == nil && s.base.Err() == nil {
				f(body)
			}
		})
	})
}

func (s *sealed) Tell(topic string, body []byte) error {
	hidden := s.name(topic)
	return s.f.Tell(hidden, s.stamp(body, "tell\x00"+hidden))
}

// keep begins to serve or hear, and notes how to stop that.
func (s *sealed) keep(begin func() (func(), error)) (func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.base.Err() != nil {
		return nil, ErrAway
	}
	stop, err := begin()
	if err != nil {
		return nil, err
	}
	s.last++
	n := s.last
	s.stops[n] = stop
	return func() {
		s.mu.Lock()
		delete(s.stops, n)
		s.mu.Unlock()
		stop()
	}, nil
}

// fact opens a fact of the engine's. One that does not open was tampered with.
func (s *sealed) fact(name string, f Fact) (Fact, error) {
	value, ok := s.seal.OpenBytes(f.Value, "fact\x00"+f.Name)
	if !ok {
		return Fact{}, errForeign
	}
	return NewFact(name, value, f.version), nil
}

func (s *sealed) Find(ctx context.Context, name string) (Fact, bool, error) {
	f, ok, err := s.f.Find(ctx, s.name(name))
	if err != nil || !ok {
		return Fact{}, false, err
	}
	fact, err := s.fact(name, f)
	return fact, err == nil, err
}

func (s *sealed) Create(ctx context.Context, name string, value []byte) (Fact, bool, error) {
	hidden := s.name(name)
	f, ours, err := s.f.Create(ctx, hidden, s.seal.SealBytes(value, "fact\x00"+hidden))
	if err != nil {
		return Fact{}, false, err
	}
	fact, err := s.fact(name, f)
	return fact, ours && err == nil, err
}

func (s *sealed) Change(ctx context.Context, fact Fact, value []byte) (Fact, error) {
	hidden := s.name(fact.Name)
	f, err := s.f.Change(ctx, NewFact(hidden, nil, fact.version), s.seal.SealBytes(value, "fact\x00"+hidden))
	if err != nil {
		return Fact{}, err
	}
	return s.fact(fact.Name, f)
}

func (s *sealed) Forget(ctx context.Context, fact Fact) error {
	return s.f.Forget(ctx, NewFact(s.name(fact.Name), nil, fact.version))
}

func (s *sealed) Close() error {
	s.mu.Lock()
	s.cancel()
	stops := s.stops
	s.stops = nil
	s.mu.Unlock()
	for _, stop := range stops {
		stop()
	}
	s.wg.Wait()
	return nil
}

// seen remembers nonces for as long as a message may be heard again: one whose
// sender's clock is ahead by maxAge is good for twice that. Its zero value is ready.
type seen struct {
	mu        sync.Mutex
	since     time.Time
	new, last map[[nonceSize]byte]struct{}
}

// first reports whether a nonce is new.
func (s *seen) first(nonce [nonceSize]byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); s.new == nil || now.Sub(s.since) > 2*maxAge {
		s.new, s.last, s.since = make(map[[nonceSize]byte]struct{}), s.new, now
	}
	_, recent := s.new[nonce]
	_, before := s.last[nonce]
	s.new[nonce] = struct{}{}
	return !recent && !before
}
