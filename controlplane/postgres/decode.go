package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// decodeDirectly makes a connection decode times and lists of texts, of which most rows have
// several, without the wrappers and the reflection that the driver creates for each column of each
// query. They were a tenth of the cost of an authenticated GET. The driver still decodes other
// types, and encodes all arguments.
func decodeDirectly(_ context.Context, conn *pgx.Conn) error {
	m := conn.TypeMap()
	text, _ := m.TypeForOID(pgtype.TextOID)
	m.RegisterType(&pgtype.Type{Name: "timestamptz", OID: pgtype.TimestamptzOID,
		Codec: timeCodec{&pgtype.TimestamptzCodec{}}})
	m.RegisterType(&pgtype.Type{Name: "_text", OID: pgtype.TextArrayOID,
		Codec: textsCodec{&pgtype.ArrayCodec{ElementType: text}}})
	return nil
}

type timeCodec struct{ *pgtype.TimestamptzCodec }

func (c timeCodec) PlanScan(m *pgtype.Map, oid uint32, format int16, target any) pgtype.ScanPlan {
	if format == pgtype.BinaryFormatCode {
		switch target.(type) {
		case *time.Time:
			return timePlan{}
		case **time.Time:
			return optionalTimePlan{}
		}
	}
	return c.TimestamptzCodec.PlanScan(m, oid, format, target)
}

type timePlan struct{}

func (timePlan) Scan(src []byte, dst any) (err error) {
	*dst.(*time.Time), err = decodeTime(src)
	return err
}

type optionalTimePlan struct{}

func (optionalTimePlan) Scan(src []byte, dst any) error {
	out := dst.(**time.Time)
	if src == nil {
		*out = nil
		return nil
	}
	t, err := decodeTime(src)
	*out = &t
	return err
}

// epoch is the origin from which Postgres counts the microseconds of its times.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()

func decodeTime(src []byte) (time.Time, error) {
	if len(src) != 8 {
		return time.Time{}, fmt.Errorf("invalid time of %d bytes: expected 8", len(src))
	}
	n := int64(binary.BigEndian.Uint64(src))
	if n == math.MaxInt64 || n == math.MinInt64 {
		return time.Time{}, fmt.Errorf("unsupported infinite time")
	}
	return time.UnixMicro(n + epoch), nil
}

type textsCodec struct{ *pgtype.ArrayCodec }

func (c textsCodec) PlanScan(m *pgtype.Map, oid uint32, format int16, target any) pgtype.ScanPlan {
	if format == pgtype.BinaryFormatCode {
		switch target.(type) {
		case *[]string:
			return textsPlan[string]{}
		case *[]controlplane.Scope:
			return textsPlan[controlplane.Scope]{}
		}
	}
	return c.ArrayCodec.PlanScan(m, oid, format, target)
}

type textsPlan[T ~string] struct{}

func (textsPlan[T]) Scan(src []byte, dst any) (err error) {
	*dst.(*[]T), err = decodeTexts[T](src)
	return err
}

// decodeTexts decodes an array of one dimension without NULLs: the number of dimensions, a flag for
// NULLs, the element type, the length, and the lower bound, 4 bytes each, and then each element
// after its length. An empty array has no dimension. It returns nil for NULL.
func decodeTexts[T ~string](src []byte) ([]T, error) {
	const head, dimension = 12, 8
	if src == nil {
		return nil, nil
	}
	if len(src) < head {
		return nil, errTexts
	}
	switch binary.BigEndian.Uint32(src) {
	case 0:
		return []T{}, nil
	case 1:
	default:
		return nil, errTexts
	}
	if len(src) < head+dimension {
		return nil, errTexts
	}
	n := int(binary.BigEndian.Uint32(src[head:]))
	rest := src[head+dimension:]
	if n > len(rest)/4 {
		return nil, errTexts
	}
	all, list := T(rest), make([]T, 0, n) // the elements are parts of one string
	for range n {
		if len(rest) < 4 {
			return nil, errTexts
		}
		size := int64(binary.BigEndian.Uint32(rest))
		rest, all = rest[4:], all[4:]
		if size > int64(len(rest)) { // the length of a NULL is the largest number
			return nil, errTexts
		}
		list = append(list, all[:size])
		rest, all = rest[size:], all[size:]
	}
	return list, nil
}

var errTexts = errors.New("unsupported array: expected texts in one dimension without NULLs")
