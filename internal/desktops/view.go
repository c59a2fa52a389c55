package desktops

import (
	"fmt"
	"image"
	"strings"
)

// view is a picture that a caller was shown. Its name says all of it, so that
// coordinates mean the same in every process.
type view struct {
	screen image.Point     // the size of the screen then
	region image.Rectangle // what of it the picture shows
	size   image.Point     // of the picture
}

// name is "1280x720" for a picture of a whole screen in its own size, else with the
// part of the screen that it shows, and the size of that: "800x450:0,0,640x360/1280x720".
func (v *view) name() string {
	s := fmt.Sprintf("%dx%d", v.size.X, v.size.Y)
	whole := v.region == image.Rectangle{Max: v.screen}
	if whole && v.size == v.screen {
		return s
	}
	if !whole {
		s += fmt.Sprintf(":%d,%d,%dx%d", v.region.Min.X, v.region.Min.Y, v.region.Dx(), v.region.Dy())
	}
	return s + fmt.Sprintf("/%dx%d", v.screen.X, v.screen.Y)
}

// parseView reads a name.
func parseView(name string) (*view, error) {
	var v view
	head, screen, scaled := strings.Cut(name, "/")
	size, region, part := strings.Cut(head, ":")
	ok := scan(size, "%dx%d", &v.size.X, &v.size.Y)
	if v.screen = v.size; scaled {
		ok = ok && scan(screen, "%dx%d", &v.screen.X, &v.screen.Y)
	}
	if v.region = (image.Rectangle{Max: v.screen}); part {
		var width, height int
		ok = ok && scan(region, "%d,%d,%dx%d", &v.region.Min.X, &v.region.Min.Y, &width, &height)
		v.region.Max = v.region.Min.Add(image.Pt(width, height))
	}
	if !ok || v.name() != name || v.size.X < 1 || v.size.Y < 1 || v.region.Empty() || !v.region.In(image.Rectangle{Max: v.screen}) {
		return nil, &InputError{fmt.Sprintf("%q is not the name of a picture; pass the `picture` of a screenshot's result unchanged", name)}
	}
	return &v, nil
}

func scan(s, format string, into ...any) bool {
	n, err := fmt.Sscanf(s, format, into...)
	return err == nil && n == len(into)
}

// at gives the place on the screen of a place in the picture: the middle of what
// that pixel shows.
func (v *view) at(p image.Point) image.Point {
	return image.Pt(
		v.region.Min.X+(2*p.X+1)*v.region.Dx()/(2*v.size.X),
		v.region.Min.Y+(2*p.Y+1)*v.region.Dy()/(2*v.size.Y),
	)
}

// in gives the place in the picture of a place on the screen.
func (v *view) in(p image.Point) image.Point {
	p = p.Sub(v.region.Min)
	return image.Pt(p.X*v.size.X/v.region.Dx(), p.Y*v.size.Y/v.region.Dy())
}

// view is the picture that coordinates refer to: the named one, else the one that
// was returned last.
func (d *desktop) view(name string) (*view, error) {
	v := d.shown
	if name != "" {
		var err error
		if v, err = parseView(name); err != nil {
			return nil, err
		}
	}
	if v == nil || name == "" && d.stale.Load() {
		return nil, &InputError{"nothing was done: coordinates are pixels of a picture, and none of this desktop has been returned from here yet; take a screenshot first, or pass the `picture` that they were read from"}
	}
	if size := d.conn.Size(); v.screen != size {
		return nil, &InputError{fmt.Sprintf("nothing was done: the screen was %d×%d pixels in that picture and is %d×%d now, so its coordinates no longer apply: take a new screenshot first",
			v.screen.X, v.screen.Y, size.X, size.Y)}
	}
	return v, nil
}
