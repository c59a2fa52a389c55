package terminals

import "unicode/utf8"

const (
	// maxMarks bounds the combining characters of one cell, in bytes.
	maxMarks = 32
	// maxMarked bounds how many different ones a screen has.
	maxMarked = 512
)

// marks are the combining characters that belong to characters of a screen. Cells have their
// place in the list, since a screen has many cells, and the same few marks again and again.
type marks struct {
	list []string // the first is of cells without any
	of   map[string]uint16
}

func newMarks() marks { return marks{list: []string{""}, of: map[string]uint16{"": 0}} }

// with gives the place of those of another place and one more.
func (m *marks) with(place uint16, r rune) uint16 {
	if len(m.list[place])+utf8.RuneLen(r) > maxMarks {
		return place
	}
	return m.place(m.list[place]+string(r), place)
}

// place gives the place of some marks, or another where there is no room for them.
func (m *marks) place(all string, other uint16) uint16 {
	place, known := m.of[all]
	switch {
	case known:
		return place
	case len(m.list) >= maxMarked:
		return other
	}
	place = uint16(len(m.list))
	m.list, m.of[all] = append(m.list, all), place
	return place
}

// tidyMarks forgets the marks that no cell has any more, where there is no room for others.
// Where the screens have so many that it would soon come to that again, it forgets all.
func (s *screen) tidyMarks() {
	if len(s.marks.list) < maxMarked {
		return
	}
	old := s.marks.list
	for _, keep := range []bool{true, false} {
		s.marks = newMarks()
		for _, g := range []*grid{s.main, s.alt} {
			for _, l := range g.lines {
				for i := range l {
					if c := &l[i]; !keep {
						c.marks = 0
					} else if c.marks != 0 {
						c.marks = s.marks.place(old[c.marks], 0)
					}
				}
			}
		}
		if len(s.marks.list) <= maxMarked/2 {
			return
		}
	}
}
