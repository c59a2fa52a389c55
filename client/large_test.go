package client

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Large answers wait for each other, and a caller that gives up does not take anything.
func TestLargeAnswersShare(t *testing.T) {
	asked := make(chan struct{}, 1)
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		_, _ = io.WriteString(w, "["+strings.Repeat(" ", 2*smallAnswer)+`{"id":"i1"}]`)
	})
	if err := largeStock.take(t.Context(), largeAnswers); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { _, err := c.Instances.List(ctx); done <- err }()
	<-asked
	cancel()
	if err := <-done; err == nil {
		t.Error("an answer was read for which there was no room")
	}
	go func() { _, err := c.Instances.List(t.Context()); done <- err }()
	<-asked
	select {
	case err := <-done:
		t.Errorf("an answer did not wait: %v", err)
	default:
	}
	largeStock.give(largeAnswers)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if largeStock.free != largeAnswers {
		t.Errorf("%d bytes are free, of %d", largeStock.free, largeAnswers)
	}
}
