package transport

// Watch is told what goes on in an HTTP server, to be counted. Each function
// may be nil; all are called from any goroutine, and must not block.
type Watch struct {
	Limited func()          // a request was refused with 429
	Dropped func()          // a client was gone, or did not read, when its answer was ready
	Stream  func(delta int) // an event stream opened (1) or ended (-1)
}

func (w *Watch) limited() {
	if w != nil && w.Limited != nil {
		w.Limited()
	}
}

func (w *Watch) dropped() {
	if w != nil && w.Dropped != nil {
		w.Dropped()
	}
}

func (w *Watch) stream(delta int) {
	if w != nil && w.Stream != nil {
		w.Stream(delta)
	}
}
