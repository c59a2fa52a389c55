package client

import (
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// A list that is small on the wire and large as Go values is refused before it is that.
func TestManyValues(t *testing.T) {
	for name, item := range map[string]string{"empty": `{},`, "null": `null,`, "number": `1,`, "nested": `[[[]]],`, "escapes": `"\"\\",{},`} {
		body := "[" + strings.Repeat(item, 32<<20/len(item)) + "1]"
		c := serve(t, answer(http.StatusOK, "application/json", body))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := c.Instances.List(t.Context())
		runtime.ReadMemStats(&after)
		if e := wantError(t, err); !errors.Is(e, ErrTooLarge) {
			t.Errorf("%s: got %v", name, err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 30<<20 {
			t.Errorf("%s: %d MiB were allocated", name, took>>20)
		}
	}
	items := "[" + strings.Repeat(`{"id":"x"},`, maxItems) + `{"id":"x"}]`
	_, err := serve(t, answer(http.StatusOK, "application/json", items)).Instances.List(t.Context())
	if !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "131073 entries") {
		t.Errorf("got %v", err)
	}
}

func TestValueCounter(t *testing.T) {
	t.Parallel()
	many := strings.Repeat("1,", maxValues+1)
	for in, want := range map[string]bool{
		"": false, "[]": false, "[" + many: true, `["` + many + `"]`: false, `["\"` + many + `"]`: false, " \n{" + many: true, "\xef\xbb\xbf[" + many: true,
		`["\\"` + many: true, `["\\\"` + many: false, `["a` + many: false, `["\`: false, many: false, "a,[" + many: false,
	} {
		for _, r := range []io.Reader{strings.NewReader(in), iotest.HalfReader(strings.NewReader(in)), iotest.OneByteReader(strings.NewReader(in))} {
			_, err := io.Copy(io.Discard, &valueCounter{Reader: r})
			if got := errors.Is(err, errManyValues); got != want || !want && err != nil {
				t.Errorf("%.20q…: got %v", in, err)
			}
		}
	}
}
