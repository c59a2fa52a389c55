package tools

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"openclaw-mcp/internal/desktops"
)

func desktopTools() []*Tool {
	zero, one := 0.0, 1.0
	coordinate, length := Prop{Min: &zero}, Prop{Min: &one}
	return []*Tool{
		define(Spec{
			Name: "take_screenshot", Title: "Take a screenshot", Family: "desktop", Effect: Reads, Page: pageDesktop,
			Description: "Shows the desktop as a picture. x, y, width and height zoom into a part of an earlier picture.",
			Props: map[string]Prop{
				"max_width": between(64, 4096).or(1280),
				"x":         coordinate, "y": coordinate, "width": length, "height": length,
				"format": oneOf("auto", "png", "jpeg"),
			},
		}, takeScreenshot),
		define(Spec{
			Name: "control_desktop", Title: "Use the desktop", Family: "desktop", Effect: Destroys, Page: pageDesktop,
			Description: "Uses the desktop's pointer and keyboard, or waits for a change. It can do all that a person could.",
			Props: map[string]Prop{
				"action": oneOf(desktops.Click, desktops.DoubleClick, desktops.RightClick, desktops.MiddleClick, desktops.Drag,
					desktops.Scroll, desktops.Move, desktops.Type, desktops.Key, desktops.Wait),
				"x": coordinate, "y": coordinate, "to_x": coordinate, "to_y": coordinate,
				"direction": oneOf("down", "up", "left", "right"),
				"amount":    length,
				"seconds":   coordinate,
			},
		}, controlDesktop),
	}
}

const (
	maxTyped       = 2000 // characters: so many take less than a call may
	maxRepeats     = 100
	maxWaitPixels  = 1 << 24
	maxCoordinates = 1 << 16
)

type takeScreenshotIn struct {
	Instance string `json:"instance,omitempty" jsonschema:"if several"`
	MaxWidth int    `json:"max_width,omitempty" jsonschema:"of the picture"`
	X        *int   `json:"x,omitempty" jsonschema:"left edge"`
	Y        *int   `json:"y,omitempty" jsonschema:"top edge"`
	Width    *int   `json:"width,omitempty" jsonschema:"of the part"`
	Height   *int   `json:"height,omitempty" jsonschema:"of the part"`
	Format   string `json:"format,omitempty" jsonschema:"auto: the smaller"`
	Picture  string `json:"picture,omitempty" jsonschema:"to zoom into; default: the last"`
}

// screenOut is a picture of a desktop in results.
type screenOut struct {
	onInstance
	Width   int     `json:"width"` // of the picture
	Height  int     `json:"height"`
	Screen  area    `json:"screen"`            // the whole screen
	Shows   area    `json:"shows"`             // the part of it that the picture shows
	Scale   float64 `json:"scale"`             // pixels of the picture for one of the screen
	Pointer *place  `json:"pointer,omitempty"` // in the picture
	Format  string  `json:"format"`
	Bytes   int     `json:"bytes"`
	Picture string  `json:"picture"` // its name, for coordinates
	Meaning string  `json:"coordinates"`

	picture desktops.Picture
}

type place struct {
	X int `json:"x"`
	Y int `json:"y"`
}

type area struct {
	X      int `json:"x"`
	Y      int `json:"y"`
	Width  int `json:"width"`
	Height int `json:"height"`
}

func areaOf(r image.Rectangle) area { return area{r.Min.X, r.Min.Y, r.Dx(), r.Dy()} }

const coordinates = "coordinates are pixels of this picture, from 0,0 at its top left"

func screenOutOf(on onInstance, p desktops.Picture) screenOut {
	o := screenOut{
		onInstance: on, Width: p.Size.X, Height: p.Size.Y, Screen: areaOf(image.Rectangle{Max: p.Screen}), Shows: areaOf(p.Region),
		Scale:  math.Round(float64(p.Size.X)/float64(p.Region.Dx())*1000) / 1000,
		Format: p.MIME, Bytes: len(p.Data), Picture: p.View, Meaning: coordinates, picture: p,
	}
	if p.Pointer != nil {
		o.Pointer = &place{p.Pointer.X, p.Pointer.Y}
	}
	return o
}

func takeScreenshot(ctx context.Context, r *request, in takeScreenshotIn) (screenOut, error) {
	req := desktops.Request{MaxWidth: in.MaxWidth, Format: in.Format, Of: in.Picture}
	given := 0
	for _, p := range []*int{in.X, in.Y, in.Width, in.Height} {
		if p != nil {
			given++
		}
	}
	switch given {
	case 0:
	case 4:
		if max(*in.X, *in.Y, *in.Width, *in.Height) > maxCoordinates {
			return screenOut{}, tooFar(*in.X, *in.Y, *in.Width, *in.Height)
		}
		part := image.Rect(*in.X, *in.Y, *in.X+*in.Width, *in.Y+*in.Height)
		req.Crop = &part
	default:
		return screenOut{}, badArgument("arguments \"x\", \"y\", \"width\" and \"height\" go together: pass all of them for a part of the screen, or none")
	}
	id, err := r.desktop(ctx, in.Instance)
	if err != nil {
		return screenOut{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.SoftDeadline)
	defer cancel()
	p, err := r.Desktops.Capture(ctx, id, req)
	if err != nil {
		return screenOut{}, desktopError(err)
	}
	return screenOutOf(r.on(id), p), nil
}

// desktop decides which instance a call is about, where there are desktops.
func (r *request) desktop(ctx context.Context, named string) (string, error) {
	if r.Desktops == nil {
		return "", forbidden("this server offers no desktops")
	}
	return r.instance(ctx, named)
}

func desktopError(err error) error {
	var input *desktops.InputError
	if errors.As(err, &input) {
		return badArgument("%s", input.Text)
	}
	return err
}

func (o screenOut) images() []Image {
	return []Image{{MIMEType: o.picture.MIME, Data: base64.StdEncoding.EncodeToString(o.picture.Data)}}
}

func (o screenOut) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "desktop%s: a picture of %d×%d pixels (%s, %d bytes)", o.where("of"), o.Width, o.Height, o.Format, o.Bytes)
	whole := "the whole screen of"
	if o.Shows != o.Screen {
		whole = fmt.Sprintf("the part of the screen at %d,%d of %d×%d, out of", o.Shows.X, o.Shows.Y, o.Shows.Width, o.Shows.Height)
	}
	fmt.Fprintf(&b, " of %s %d×%d, scale %g", whole, o.Screen.Width, o.Screen.Height, o.Scale)
	if o.Pointer != nil {
		fmt.Fprintf(&b, "; the pointer is at %d,%d", o.Pointer.X, o.Pointer.Y)
	}
	b.WriteString("\n" + o.Meaning + "; its name as `picture`: " + o.Picture)
	return b.String()
}

type controlDesktopIn struct {
	Action     string   `json:"action" jsonschema:"what to do"`
	Instance   string   `json:"instance,omitempty" jsonschema:"if several"`
	X          *int     `json:"x,omitempty" jsonschema:"where: pixels from the left"`
	Y          *int     `json:"y,omitempty" jsonschema:"pixels from the top"`
	ToX        *int     `json:"to_x,omitempty" jsonschema:"where a drag ends"`
	ToY        *int     `json:"to_y,omitempty" jsonschema:"where a drag ends"`
	Text       string   `json:"text,omitempty" jsonschema:"to type"`
	Keys       string   `json:"keys,omitempty" jsonschema:"enter, ctrl+shift+t; several with spaces between; held during clicks"`
	Direction  string   `json:"direction,omitempty" jsonschema:"to scroll"`
	Amount     int      `json:"amount,omitempty" jsonschema:"scroll: notches; key: times; wait: changed pixels"`
	Seconds    *float64 `json:"seconds,omitempty" jsonschema:"longest wait"`
	Screenshot bool     `json:"screenshot,omitempty" jsonschema:"show the screen afterwards"`
	Picture    string   `json:"picture,omitempty" jsonschema:"what coordinates refer to; default: the last"`
}

type controlDesktopOut struct {
	onInstance
	Action        string     `json:"action"`
	At            *place     `json:"at,omitempty"` // on the screen
	To            *place     `json:"to,omitempty"`
	Typed         int        `json:"typed,omitempty"` // characters
	Changed       bool       `json:"changed"`
	ChangedPixels int        `json:"changed_pixels"`
	ChangedArea   *area      `json:"changed_area,omitempty"` // of the screen
	Moving        bool       `json:"still_changing,omitempty"`
	Screen        area       `json:"screen"`
	Shot          *screenOut `json:"screenshot,omitempty"`
	Next          string     `json:"next,omitempty"`
}

func controlDesktop(ctx context.Context, r *request, in controlDesktopIn) (controlDesktopOut, error) {
	a := desktops.Action{Kind: in.Action, Of: in.Picture, Text: in.Text, Keys: in.Keys, Direction: in.Direction, Amount: in.Amount}
	var err error
	if a.At, err = placeOf("x", in.X, "y", in.Y); err != nil {
		return controlDesktopOut{}, err
	}
	if a.To, err = placeOf("to_x", in.ToX, "to_y", in.ToY); err != nil {
		return controlDesktopOut{}, err
	}
	limit := maxRepeats
	if in.Action == desktops.Wait {
		limit = maxWaitPixels
	}
	if in.Amount > limit {
		return controlDesktopOut{}, badArgument("argument \"amount\" must be an integer from 1 to %d for %s; got %d", limit, in.Action, in.Amount)
	}
	if n := utf8.RuneCountInString(in.Text); n > maxTyped {
		return controlDesktopOut{}, badArgument("argument \"text\" must be a string of at most %d characters; got %d: type it in parts, or write a file", maxTyped, n)
	}
	a.Wait = 10 * time.Second
	if in.Seconds != nil {
		a.Wait = max(time.Millisecond, time.Duration(min(*in.Seconds, 3600)*float64(time.Second)))
	}
	if in.Screenshot {
		a.Shot = &desktops.Request{}
	}
	id, err := r.desktop(ctx, in.Instance)
	if err != nil {
		return controlDesktopOut{}, err
	}
	// Waiting ends before the call has to, so that it can tell what it saw.
	a.Wait = min(a.Wait, r.SoftDeadline*3/4)
	ctx, cancel := context.WithTimeout(ctx, r.SoftDeadline)
	defer cancel()
	done, err := r.Desktops.Act(ctx, id, a)
	if err != nil {
		return controlDesktopOut{}, desktopError(err)
	}
	out := controlDesktopOut{
		onInstance: r.on(id), Action: in.Action, Typed: done.Typed, Changed: done.Changed > 0, ChangedPixels: done.Changed,
		Moving: done.Moving, Screen: areaOf(image.Rectangle{Max: done.Screen}),
	}
	if done.At != nil {
		out.At = &place{done.At.X, done.At.Y}
	}
	if done.To != nil {
		out.To = &place{done.To.X, done.To.Y}
	}
	if out.Changed {
		where := areaOf(done.Where)
		out.ChangedArea = &where
	}
	if done.Picture != nil {
		shot := screenOutOf(r.on(id), *done.Picture)
		out.Shot = &shot
	} else {
		out.Next = "take_screenshot shows the screen"
	}
	return out, nil
}

// tooFar is about coordinates one of which is beyond all screens.
func tooFar(all ...int) error {
	return badArgument("a coordinate is %d: they are pixels of the picture that was seen last, and no picture has more than %d", slices.Max(all), maxCoordinates)
}

func placeOf(nameX string, x *int, nameY string, y *int) (*image.Point, error) {
	switch {
	case x == nil && y == nil:
		return nil, nil
	case x == nil || y == nil:
		return nil, badArgument("arguments %q and %q go together", nameX, nameY)
	case max(*x, *y) > maxCoordinates:
		return nil, tooFar(*x, *y)
	}
	return &image.Point{X: *x, Y: *y}, nil
}

func (o controlDesktopOut) images() []Image {
	if o.Shot == nil {
		return nil
	}
	return o.Shot.images()
}

func (o controlDesktopOut) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s on the desktop%s", strings.ReplaceAll(o.Action, "_", " "), o.where("of"))
	if o.At != nil {
		fmt.Fprintf(&b, " at %d,%d of the screen", o.At.X, o.At.Y)
	}
	if o.To != nil {
		fmt.Fprintf(&b, " to %d,%d", o.To.X, o.To.Y)
	}
	if o.Typed > 0 {
		fmt.Fprintf(&b, ": %d characters", o.Typed)
	}
	b.WriteString("\n")
	if c := o.ChangedArea; c != nil {
		fmt.Fprintf(&b, "the screen (%d×%d) changed: %d pixels, all within %d×%d at %d,%d of the screen", o.Screen.Width, o.Screen.Height, o.ChangedPixels, c.Width, c.Height, c.X, c.Y)
	} else {
		fmt.Fprintf(&b, "the screen (%d×%d) did not change", o.Screen.Width, o.Screen.Height)
	}
	if o.Moving {
		b.WriteString("; it is still changing")
	}
	if o.Shot != nil {
		b.WriteString("\n" + o.Shot.text())
	}
	return withNext(b.String(), o.Next)
}
