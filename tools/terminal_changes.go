package tools

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// shownScreens are the screens of terminals as results showed them last, by sealed handle.
type shownScreens struct {
	mu    sync.Mutex
	texts map[string]string
	order []string // the handles, oldest first
}

// maxShownScreens bounds how many are kept: more than a caller may have open.
const maxShownScreens = 100

// swap notes what is shown now, and gives what was shown before.
func (s *shownScreens) swap(handle, now string) (before string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.texts == nil {
		s.texts = make(map[string]string)
	}
	if before, ok = s.texts[handle]; !ok {
		if s.order = append(s.order, handle); len(s.order) > maxShownScreens {
			delete(s.texts, s.order[0])
			s.order = s.order[1:]
		}
	}
	s.texts[handle] = now
	return before, ok
}

// forget has the next screen of a terminal be shown whole.
func (s *shownScreens) forget(handle string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.texts, handle)
	s.order = slices.DeleteFunc(s.order, func(h string) bool { return h == handle })
}

// changes gives what of a screen is not as the client saw it last, where that is little
// beside the whole. Programs get the whole, and so do clients that share a server with
// others, who may have seen the screen in between.
func (r *request) changes(ctx context.Context, handle, screen string) (string, bool) {
	if r.handles(ctx) == nil {
		return "", false
	}
	if len(screen) > r.MaxResultChars { // a result has only parts of it
		r.screens.forget(handle)
		return "", false
	}
	before, ok := r.screens.swap(handle, screen)
	if !ok {
		return "", false
	}
	changes := changedRows(before, screen)
	return changes, len(changes) <= len(screen)/2
}

// changedRows tells two screens apart: by how far the one has scrolled up, and the rows
// that are not as they were after that. It is empty where nothing has changed.
func changedRows(before, now string) string {
	was, is := strings.Split(before, "\n"), strings.Split(now, "\n")
	row := func(rows []string, i int) string {
		if i < len(rows) {
			return rows[i]
		}
		return ""
	}
	scrolled, fewest := 0, -1
	for by := range len(was) {
		n, same := 0, by == 0
		for i := range max(len(is), len(was)-by) {
			if row(is, i) != row(was, i+by) {
				n++
			} else if row(is, i) != "" {
				same = true // something is there that has scrolled
			}
		}
		if same && (fewest < 0 || n < fewest) {
			scrolled, fewest = by, n
		}
	}
	var b strings.Builder
	if scrolled > 0 {
		fmt.Fprintf(&b, "(scrolled up by %d)\n", scrolled)
	}
	last := max(len(is), len(was)-scrolled)
	for i := 0; i < last; i++ {
		from := i
		for i < last && row(is, i) != row(was, i+scrolled) {
			i++
		}
		switch {
		case i == from:
			continue
		case i == from+1:
			fmt.Fprintf(&b, "row %d:\n", i)
		default:
			fmt.Fprintf(&b, "rows %d to %d:\n", from+1, i)
		}
		for j := from; j < i; j++ {
			b.WriteString(row(is, j) + "\n")
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}
