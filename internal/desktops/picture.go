package desktops

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"

	"golang.org/x/image/draw"

	"openclaw-mcp/internal/rfb"
)

// Request says which picture is wanted.
type Request struct {
	Crop     *image.Rectangle // in pixels of a picture; nil: all of the screen
	Of       string           // the name of that picture; "": the one returned last
	MaxWidth int              // of the picture (1280)
	Format   string           // png, jpeg, or the smaller one
	MaxBytes int              // of the picture (700,000, which base64 brings below 1 MB)
}

const (
	defaultWidth = 1280
	defaultBytes = 700_000
	// smallPNG is where looking for something smaller is not worth it.
	smallPNG = 48 << 10
)

// Picture is what a desktop shows.
type Picture struct {
	View    string // its name, for coordinates
	Data    []byte
	MIME    string
	Size    image.Point     // of the picture
	Region  image.Rectangle // of the screen that it shows
	Screen  image.Point     // size of the screen
	Pointer *image.Point    // in the picture; nil: unknown, or outside of it
	Name    string          // of the desktop
}

// Capture implements [Desktops].
func (l *Local) Capture(ctx context.Context, instance string, r Request) (Picture, error) {
	var p Picture
	err := l.use(ctx, instance, func(d *desktop) error {
		region, err := d.region(r)
		if err != nil {
			return err
		}
		p, err = d.capture(r, region)
		return err
	})
	return p, err
}

// region gives the part of the screen that a part of a picture shows.
func (d *desktop) region(r Request) (image.Rectangle, error) {
	crop := r.Crop
	screen := image.Rectangle{Max: d.conn.Size()}
	if crop == nil {
		return screen, nil
	}
	v, err := d.view(r.Of)
	if err != nil {
		return screen, err
	}
	part := crop.Intersect(image.Rectangle{Max: v.size})
	if part.Empty() {
		return screen, &InputError{fmt.Sprintf("the part %v lies outside the picture, which is %d×%d pixels", *crop, v.size.X, v.size.Y)}
	}
	// From the outer edge of the first pixel to that of the last.
	shows := image.Rect(
		v.region.Min.X+part.Min.X*v.region.Dx()/v.size.X,
		v.region.Min.Y+part.Min.Y*v.region.Dy()/v.size.Y,
		v.region.Min.X+(part.Max.X*v.region.Dx()+v.size.X-1)/v.size.X,
		v.region.Min.Y+(part.Max.Y*v.region.Dy()+v.size.Y-1)/v.size.Y,
	)
	return shows.Intersect(screen), nil
}

// capture takes a picture, and remembers it as the one that was shown.
func (d *desktop) capture(r Request, region image.Rectangle) (Picture, error) {
	d.mark, d.known = rfb.Mark{}, false // frees one picture before the next
	s := d.conn.Snapshot()
	region = region.Intersect(s.Image.Rect)
	if region.Empty() { // it has shrunk this very moment
		region = s.Image.Rect
	}
	if r.MaxWidth <= 0 {
		r.MaxWidth = defaultWidth
	}
	if r.MaxBytes <= 0 {
		r.MaxBytes = defaultBytes
	}
	if region == s.Image.Rect {
		d.width = r.MaxWidth
	}
	data, mime, size, err := render(s.Image.SubImage(region).(*image.RGBA), r)
	d.mark, d.known = s.Mark(), true
	if err != nil {
		return Picture{}, err
	}
	d.shown = &view{screen: s.Image.Rect.Size(), region: region, size: size}
	d.stale.Store(false)
	p := Picture{View: d.shown.name(), Data: data, MIME: mime, Size: size, Region: region, Screen: d.shown.screen, Name: d.conn.Name()}
	if s.Pointer.In(region) {
		at := d.shown.in(s.Pointer)
		p.Pointer = &at
	}
	return p, nil
}

// render scales a picture down to what is allowed, and encodes it.
func render(m *image.RGBA, r Request) (data []byte, mime string, size image.Point, err error) {
	width := min(m.Rect.Dx(), r.MaxWidth)
	for {
		// Very tall screens are held to twice the width, lest they be huge.
		height := max(1, (m.Rect.Dy()*width+m.Rect.Dx()/2)/m.Rect.Dx())
		if height > 2*r.MaxWidth && width > 1 {
			width = max(1, width*2*r.MaxWidth/height)
			continue
		}
		scaled := scale(m, image.Pt(width, height))
		if data, mime, err = encode(scaled, r); err != nil || len(data) <= r.MaxBytes || width < 64 {
			return data, mime, image.Pt(width, height), err
		}
		width = width * 4 / 5
	}
}

func scale(m *image.RGBA, size image.Point) *image.RGBA {
	if m.Rect.Size() == size {
		return m
	}
	out := image.NewRGBA(image.Rectangle{Max: size})
	draw.CatmullRom.Scale(out, out.Rect, m, m.Rect, draw.Src, nil)
	return out
}

// encode gives the picture in the format asked for. Where that is left open: as
// PNG, which keeps text sharp, or as JPEG where that is smaller.
func encode(m *image.RGBA, r Request) (data []byte, mime string, err error) {
	var out bytes.Buffer
	if r.Format != "jpeg" {
		if err := png.Encode(&out, m); err != nil {
			return nil, "", err
		}
		data, mime = out.Bytes(), "image/png"
		if r.Format == "png" || len(data) <= min(smallPNG, r.MaxBytes) {
			return data, mime, nil
		}
	}
	for _, quality := range []int{85, 60, 40} {
		var other bytes.Buffer
		if err := jpeg.Encode(&other, m, &jpeg.Options{Quality: quality}); err != nil {
			return nil, "", err
		}
		if data == nil || other.Len() < len(data) {
			data, mime = other.Bytes(), "image/jpeg"
		}
		if len(data) <= r.MaxBytes {
			break
		}
	}
	return data, mime, nil
}

var _ Desktops = (*Local)(nil)

// changeOf says what has changed on the screen since a mark.
func changeOf(c *rfb.Conn, m rfb.Mark) (pixels int, where image.Rectangle) {
	return c.Diff(m, image.Rectangle{Max: c.Size()})
}
