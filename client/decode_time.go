package client

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// timeLayouts are the known spellings of a date. One without a time zone is read as
// UTC. All of them accept fractions of a second.
var timeLayouts = []string{
	time.RFC3339,
	"2006-01-02T15:04:05",
	"2006-01-02T15:04:05Z0700",
	"2006-01-02 15:04:05Z07:00",
	"2006-01-02 15:04:05Z07", // PostgreSQL's short offset
	"2006-01-02 15:04:05 Z0700",
	"2006-01-02 15:04:05 MST",
	"2006-01-02 15:04:05",
	"2006-01-02",
	time.RFC1123,
}

// decodeTime reads a date: RFC 3339 and its relatives, or the time since 1970
// in seconds or milliseconds, as a number or as a numeric string. The result
// is in UTC; it is zero when raw is not a date.
func decodeTime(raw []byte) time.Time {
	if f, ok := number(raw); ok {
		return epoch(f)
	}
	s, ok := asString(raw)
	if !ok {
		return time.Time{}
	}
	return parseTime(s)
}

func parseTime(s string) time.Time {
	s = strings.TrimSpace(s)
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return epoch(f)
	}
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// epoch tells seconds from milliseconds by magnitude: 1e11 seconds is the year
// 5138, 1e11 milliseconds is 1973.
func epoch(f float64) time.Time {
	if math.IsNaN(f) || f <= 0 || f > 1e15 {
		return time.Time{}
	}
	if f >= 1e11 {
		return time.UnixMilli(int64(f)).UTC()
	}
	return time.UnixMilli(int64(math.Round(f * 1000))).UTC()
}
