package command

import (
	"slices"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/wire"
)

// The binary form of an outcome, the same in the log and in the history:
//
//	flags      1 byte   bit 0: conversion value present; bits 1–2: direction
//	type, customer, offer, category, channel, placement, model, decision,
//	idempotency key     length-prefixed strings
//	at         varint   Unix milliseconds
//	value      8 bytes  only when flagged
//	attributes, context each a row: count, then per field
//	                    name, kind byte, and 8 bytes (number), 1 byte (boolean),
//	                    a string (text, member) or nothing (empty set)
const (
	flagValue      = 1
	directionShift = 1
	directionMask  = 3
)

// minFieldSize is the encoded size of the shortest field: an empty name and its
// kind.
const minFieldSize = 2

// AppendOutcome appends the outcome as its sender knows it: without what
// applying it adds (ID, Class, Before).
func AppendOutcome(b []byte, o *decision.Outcome) []byte {
	flags := byte(o.Direction) << directionShift
	if o.HasValue {
		flags |= flagValue
	}
	b = append(b, flags)
	for _, s := range [...]string{
		o.Type, o.CustomerID, o.OfferID, o.CategoryID, o.ChannelID, o.PlacementID,
		o.ModelID, o.DecisionID, o.IdempotencyKey,
	} {
		b = wire.AppendString(b, s)
	}
	b = wire.AppendVarint(b, o.At)
	if o.HasValue {
		b = wire.AppendFloat(b, o.ConversionValue)
	}
	b = AppendRow(b, o.Attributes)
	return AppendRow(b, o.Context)
}

// ReadOutcome reads an outcome into o, reusing the memory of its rows. The
// strings of o share memory with the reader's input.
func ReadOutcome(r *wire.Reader, o *decision.Outcome) {
	attributes, context := o.Attributes[:0], o.Context[:0]
	flags := r.Byte()
	*o = decision.Outcome{
		Type: r.String(), CustomerID: r.String(), OfferID: r.String(), CategoryID: r.String(),
		ChannelID: r.String(), PlacementID: r.String(), ModelID: r.String(), DecisionID: r.String(),
		IdempotencyKey: r.String(), At: r.Varint(),
		Direction: decision.Direction(flags >> directionShift & directionMask),
	}
	if flags&flagValue != 0 {
		o.HasValue, o.ConversionValue = true, r.Float()
	}
	o.Attributes = ReadRow(r, attributes)
	o.Context = ReadRow(r, context)
}

// AppendRow appends a feature row.
func AppendRow(b []byte, row decision.Row) []byte {
	b = wire.AppendUvarint(b, uint64(len(row)))
	for i := range row {
		f := &row[i]
		b = wire.AppendString(b, f.Name)
		b = append(b, byte(f.Kind))
		switch f.Kind {
		case decision.Number:
			b = wire.AppendFloat(b, f.Num)
		case decision.Bool:
			b = wire.AppendBool(b, f.Num != 0)
		case decision.Text, decision.Member:
			b = wire.AppendString(b, f.Text)
		}
	}
	return b
}

// ReadRow reads a feature row, appending to dst.
func ReadRow(r *wire.Reader, dst decision.Row) decision.Row {
	n := r.Count(minFieldSize)
	dst = slices.Grow(dst, n)
	for range n {
		f := decision.Field{Name: r.String(), Kind: decision.ValueKind(r.Byte())}
		switch f.Kind {
		case decision.Number:
			f.Num = r.Float()
		case decision.Bool:
			if r.Bool() {
				f.Num = 1
			}
		case decision.Text, decision.Member:
			f.Text = r.String()
		case decision.EmptySet:
		default:
			r.Fail("unknown kind of value %d", f.Kind)
			return dst
		}
		dst = append(dst, f)
	}
	return dst
}
