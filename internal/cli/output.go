package cli

import (
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
)

// output is standard output. It keeps the first error of writing to it, since a command
// whose result was lost, such as on a full disk, has not succeeded.
type output struct {
	io.Writer
	mu  sync.Mutex
	err error
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// lost is the first error of writing.
func (o *output) lost() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// lost tells why the result can't be written any more.
func (c *console) lost() error {
	if o, ok := c.stdout.(*output); ok {
		return o.lost()
	}
	return nil
}

// failed is the error of a command that ended with err: its own, or that of writing its
// result. A reader that has seen enough, such as head, is none.
func (o *output) failed(err error) error {
	lost := o.lost()
	switch {
	case lost == nil || err != nil && !errors.Is(err, lost):
		return err
	case errors.Is(lost, syscall.EPIPE):
		return nil
	default:
		return lost
	}
}

// under is the stream that an output writes to; any other is itself.
func under(w io.Writer) io.Writer {
	if o, ok := w.(*output); ok {
		return o.Writer
	}
	return w
}

// file is the file that a stream is; nil where it is none.
func file(stream any) *os.File {
	if w, ok := stream.(io.Writer); ok {
		stream = under(w)
	}
	f, _ := stream.(*os.File)
	return f
}
