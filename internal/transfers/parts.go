package transfers

import (
	"context"
	"errors"
	"io"
	"iter"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"openclaw-mcp/internal/sandbox"
)

// sendLarge sends a file in parts. Parts that are in the sandbox whole are not
// sent again, whoever sent them.
func (u *uploading) sendLarge(ctx context.Context, e entry) error {
	if !u.tools.dd {
		return errors.New("the sandbox lacks dd, which large files need")
	}
	for n := 0; n < 4; n++ {
		sum, size, err := hashFile(ctx, u.src.Root, e.name)
		if err != nil {
			if ctx.Err() == nil {
				u.transfer.fail(e.name, cause(err))
				err = nil
			}
			return err
		}
		e.sum = sum
		u.resize(&e, size)
		from := u.limit.Load()
		verb, err := u.sendParts(ctx, e, from)
		var answer *answerError
		switch {
		case errors.Is(err, errSize) && u.shrink(from):
			n--
			continue
		case errors.As(err, &answer):
			u.transfer.fail(e.name, answer.text)
			return nil
		case err != nil:
			return err
		case verb == "ok":
			u.done(false, e)
			return nil
		case verb == "exists":
			u.skip(e, true, "it exists on the instance")
			return nil
		}
		// It changed while it was read, or a part of it is not as it was sent:
		// once more from the start.
	}
	u.transfer.fail(e.name, "it keeps changing, or what arrives is not what was sent")
	return nil
}

// sendParts sends the parts that are missing and has them put together.
func (u *uploading) sendParts(ctx context.Context, e entry, part int64) (verb string, err error) {
	f, err := openFile(u.src.Root, filepath.FromSlash(e.name))
	if err != nil {
		return "", err
	}
	defer f.Close()
	stem := e.key() + "." + strconv.FormatInt(part, 10)
	have, err := u.partsThere(ctx, stem)
	if err != nil {
		return "", err
	}
	count := (e.size + part - 1) / part
	var sent int64
	defer func() { u.moving(-sent) }()
	var mu sync.Mutex
	arrived := func(n int64) {
		mu.Lock()
		sent += n
		mu.Unlock()
		u.moving(n)
	}
	err = parallel(ctx, upTo(count), func(ctx context.Context, k int64) error {
		length := min(part, e.size-k*part)
		if have[k] != int64(sandbox.EncodedLen(int(length))) {
			buf := make([]byte, length)
			if _, err := f.ReadAt(buf, k*part); err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			if err := u.put(ctx, stem+"."+strconv.FormatInt(k, 10), sandbox.Encode(buf)); err != nil {
				return err
			}
		}
		arrived(length)
		return nil
	})
	if err != nil {
		return "", err
	}
	for at := int64(0); at < count; at += partsAtOnce {
		_, err := u.ask(ctx, "join", sandbox.Params{
			"stem": stem, "to": e.key() + ".new", "first": at, "end": min(at+partsAtOnce, count), "size": part,
		}, hashTimeout)
		if err != nil {
			return "", err
		}
	}
	dir, base := path.Split(u.there(e))
	report, err := u.ask(ctx, "finish", sandbox.Params{
		"single": u.up, "names": sandbox.Words(path.Clean("./"+dir), base), "key": e.key(), "sum": e.sum, "mode": octal(e.rights()), "time": stamp(e.time), "keep": u.keep,
	}, hashTimeout)
	return report.Verb, err
}

// partsAtOnce is how many parts one script puts together.
const partsAtOnce = 64

func upTo(n int64) iter.Seq[int64] {
	return func(yield func(int64) bool) {
		for k := range n {
			if !yield(k) {
				return
			}
		}
	}
}

// partsThere gives the sizes of the parts that are in the sandbox.
func (u *uploading) partsThere(ctx context.Context, stem string) (map[int64]int64, error) {
	report, err := u.ask(ctx, "parts", sandbox.Params{"stem": stem}, transferTimeout)
	if errors.Is(err, errSize) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	have := map[int64]int64{}
	for line := range strings.Lines(string(report.Part(0))) {
		words := strings.Fields(line)
		if len(words) != 2 {
			continue
		}
		size, err1 := strconv.ParseInt(words[0], 10, 64)
		k, err2 := strconv.ParseInt(strings.TrimPrefix(words[1], stem+"."), 10, 64)
		if err1 == nil && err2 == nil {
			have[k] = size
		}
	}
	return have, nil
}
