package client

import (
	"fmt"
	"net/http"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails the package when a test leaves a goroutine behind: a body not
// closed, a stream not ended. Nor does a stream or an answer keep what all share.
func TestMain(m *testing.M) {
	code := m.Run()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	for s, all := range map[*stock]int{eventStock: unfinishedEvents, smallStock: smallAnswers, turnStock: smallTurns, largeStock: largeAnswers} {
		if s.free != all && code == 0 {
			fmt.Fprintf(os.Stderr, "%d are left of a stock of %d\n", s.free, all)
			code = 1
		}
	}
	os.Exit(code)
}
