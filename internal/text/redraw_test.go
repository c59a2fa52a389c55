package text

import (
	"fmt"
	"strings"
	"testing"
)

func TestOutput(t *testing.T) {
	var bar strings.Builder
	for i := range 3001 {
		fmt.Fprintf(&bar, "\r\x1b[K%d of 3000", i)
	}
	tests := []struct{ name, in, want string }{
		{"plain", "a\nb\n", "a\nb\n"},
		{"CRLF", "a\r\nb\r\n", "a\nb\n"},
		{"more carriage returns", "a\r\r\nb", "a\nb"},
		{"progress bar", "start\n10%\r50%\r100%\nend\n", "start\n100%\nend\n"},
		{"not ended", "10%\r50%\r", "50%"},
		{"at the start", "\r10%\r50%", "50%"},
		{"many", "start\n" + bar.String() + "\nend\n", "start\n3000 of 3000\nend\n"},
		{"erased", "50%\r\x1b[Kdone\n", "done\n"},
		{"erased in the end", "50%\r\x1b[2K\nnext", "\nnext"},
		{"colours behind", "50%\r100%\r\x1b[0m\nnext", "100%\nnext"},
		{"blanks", "50%\r    \rdone", "done"},
		{"CRLF behind", "10%\r20%\r\nnext\r\n", "20%\nnext\n"},
		{"every line", "1\r2\n3\r4\n", "2\n4\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Output(tt.in); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if left := Output(tt.in) != Plain(tt.in); left && !Redrawn(tt.in) {
				t.Error("it does not count as redrawn")
			}
		})
	}
	// What is read in parts comes to the same.
	for cut := range len(tests[5].in) {
		whole := tests[5].in
		if got := Output(LastStates(whole[:cut]) + whole[cut:]); got != tests[5].want {
			t.Fatalf("cut at %d: got %q", cut, got)
		}
	}
	for cut := range bar.Len() / 97 {
		whole := bar.String()
		if got := Output(LastStates(whole[:cut*97]) + whole[cut*97:]); got != "3000 of 3000" {
			t.Fatalf("cut at %d: got %q", cut*97, got)
		}
	}
}

// What Lines gives joins to the whole, wherever that is cut, and each line comes once it is whole.
func TestLines(t *testing.T) {
	for _, whole := range []string{
		"", "a\nb\n", "a\r\nb\r\n", "no end", "start\n10%\r50%\r100%\nend\n", "\r10%\r50%\r", "50%\r\x1b[Kdone\n", "10%\r20%\r\nnext\r\n", "é漢\r🙂\n\n\rx",
	} {
		for cut := range len(whole) + 1 {
			for more := cut; more <= len(whole); more++ {
				var l Lines
				got, taken := "", 0
				for _, piece := range []string{whole[:cut], whole[cut:more], whole[more:]} {
					got += l.Next(piece)
					taken += len(piece)
					if want := whole[:taken-l.Held()]; LastStates(want) != got || want != "" && !strings.HasSuffix(want, "\n") {
						t.Fatalf("%q cut at %d and %d: behind %q it gave %q", whole, cut, more, whole[:taken], got)
					}
				}
				if Output(l.Open()) != Output(whole[strings.LastIndexByte(whole, '\n')+1:]) {
					t.Fatalf("%q cut at %d and %d: the open line is %q", whole, cut, more, l.Open())
				}
				if got += l.Rest(); got != LastStates(whole) || l.Held() != 0 {
					t.Fatalf("%q cut at %d and %d: got %q, want %q", whole, cut, more, got, LastStates(whole))
				}
			}
		}
	}
	// A line without end comes all the same, and takes no more and more room.
	var l Lines
	long := strings.Repeat("0123456789", maxOpen)
	var got strings.Builder
	for i := 0; i < len(long); i += 10 {
		got.WriteString(l.Next(long[i : i+10]))
		if l.Held() > maxOpen {
			t.Fatalf("%d bytes are held", l.Held())
		}
	}
	if got.String()+l.Rest() != long {
		t.Error("a long line is not what it was")
	}
}
