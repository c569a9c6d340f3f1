package files

import (
	"encoding/hex"
	"math"
	"math/big"
	"strconv"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	"github.com/praetor-engine/praetor/internal/warehouse"
)

// conversion makes a cell of a value that is not null; false when it cannot.
type conversion func(v parquet.Value, c *warehouse.Cell, text *[]byte) bool

// conversionOf returns the conversion of a column's type, nil when there is none.
// The logical type decides, else the physical one.
func conversionOf(t parquet.Type) conversion {
	if l := t.LogicalType(); l != nil && l.Value != nil {
		return logical(t, l.Value)
	}
	if c := t.ConvertedType(); c != nil {
		switch *c {
		case deprecated.TimestampMillis:
			return timeOf(1e6)
		case deprecated.TimestampMicros:
			return timeOf(1e3)
		case deprecated.Date:
			return date
		}
	}
	return physical(t)
}

func logical(t parquet.Type, l format.LogicalTypeValue) conversion {
	switch l := l.(type) {
	case *format.StringType, *format.EnumType, *format.JsonType, *format.IntType:
		if i, ok := l.(*format.IntType); ok && !i.IsSigned {
			return unsigned(t)
		}
		return physical(t)
	case *format.DateType:
		return date
	case *format.TimestampType:
		switch l.Unit.Value.(type) {
		case *format.MilliSeconds:
			return timeOf(1e6)
		case *format.MicroSeconds:
			return timeOf(1e3)
		case *format.NanoSeconds:
			return timeOf(1)
		}
	case *format.UUIDType:
		return uuid
	case *format.DecimalType:
		return decimal(t, int(l.Scale))
	}
	return nil
}

func physical(t parquet.Type) conversion {
	switch t.Kind() {
	case parquet.Boolean:
		return func(v parquet.Value, c *warehouse.Cell, _ *[]byte) bool {
			c.Type, c.Bool = warehouse.Bool, v.Boolean()
			return true
		}
	case parquet.Int32:
		return func(v parquet.Value, c *warehouse.Cell, _ *[]byte) bool {
			c.Type, c.Int = warehouse.Int, int64(v.Int32())
			return true
		}
	case parquet.Int64:
		return func(v parquet.Value, c *warehouse.Cell, _ *[]byte) bool {
			c.Type, c.Int = warehouse.Int, v.Int64()
			return true
		}
	case parquet.Int96:
		return int96
	case parquet.Float:
		return single
	case parquet.Double:
		return func(v parquet.Value, c *warehouse.Cell, _ *[]byte) bool { return number(c, v.Double()) }
	case parquet.ByteArray:
		return func(v parquet.Value, c *warehouse.Cell, _ *[]byte) bool {
			c.Type, c.Text = warehouse.Text, v.ByteArray()
			return utf8.Valid(c.Text)
		}
	}
	return nil
}

func number(c *warehouse.Cell, v float64) bool {
	c.Type, c.Float = warehouse.Float, v
	return !math.IsNaN(v) && !math.IsInf(v, 0)
}

// single converts to the float nearest to the shortest decimal that tells the value
// from others, as databases write it: 0.1 and not 0.10000000149.
func single(v parquet.Value, c *warehouse.Cell, text *[]byte) bool {
	*text = strconv.AppendFloat((*text)[:0], float64(v.Float()), 'g', -1, 32)
	f, err := strconv.ParseFloat(string(*text), 64)
	return err == nil && number(c, f)
}

func unsigned(t parquet.Type) conversion {
	switch t.Kind() {
	case parquet.Int32:
		return func(v parquet.Value, c *warehouse.Cell, _ *[]byte) bool {
			c.Type, c.Int = warehouse.Int, int64(v.Uint32())
			return true
		}
	case parquet.Int64:
		return func(v parquet.Value, c *warehouse.Cell, text *[]byte) bool {
			if u := v.Uint64(); u > math.MaxInt64 {
				*text = strconv.AppendUint((*text)[:0], u, 10)
				c.Type, c.Text = warehouse.Text, *text
			} else {
				c.Type, c.Int = warehouse.Int, int64(u)
			}
			return true
		}
	}
	return nil
}

// timeOf converts counts of a unit since 1970. A time without a zone is UTC.
func timeOf(nanos int64) conversion {
	return func(v parquet.Value, c *warehouse.Cell, _ *[]byte) (ok bool) {
		c.Type = warehouse.Time
		c.Int, ok = warehouse.Millis(v.Int64(), nanos)
		return ok
	}
}

const dayMillis = 24 * 60 * 60 * 1000

func date(v parquet.Value, c *warehouse.Cell, _ *[]byte) bool {
	c.Type, c.Int = warehouse.Time, int64(v.Int32())*dayMillis
	return true
}

// int96 is an old form of times: nanoseconds of a day, and the Julian day.
func int96(v parquet.Value, c *warehouse.Cell, _ *[]byte) bool {
	const julian1970 = 2440588
	i := v.Int96()
	nanos := int64(uint64(i[1])<<32 | uint64(i[0]))
	if nanos < 0 || nanos >= dayMillis*1e6 {
		return false
	}
	c.Type, c.Int = warehouse.Time, (int64(i[2])-julian1970)*dayMillis+nanos/1e6
	return true
}

func uuid(v parquet.Value, c *warehouse.Cell, text *[]byte) bool {
	b := v.ByteArray()
	if len(b) != 16 {
		return false
	}
	out := (*text)[:0]
	for i, part := range [...][]byte{b[:4], b[4:6], b[6:8], b[8:10], b[10:]} {
		if i > 0 {
			out = append(out, '-')
		}
		out = hex.AppendEncode(out, part)
	}
	*text = out
	c.Type, c.Text = warehouse.Text, out
	return true
}

// maxDecimal bounds the bytes of a decimal: 76 digits.
const maxDecimal = 32

// decimal converts whole numbers of 10^−scale to the nearest float: by way of their
// text, as that is what rounds once.
func decimal(t parquet.Type, scale int) conversion {
	var digits func(v parquet.Value, b []byte) []byte
	switch t.Kind() {
	case parquet.Int32:
		digits = func(v parquet.Value, b []byte) []byte { return strconv.AppendInt(b, int64(v.Int32()), 10) }
	case parquet.Int64:
		digits = func(v parquet.Value, b []byte) []byte { return strconv.AppendInt(b, v.Int64(), 10) }
	case parquet.ByteArray, parquet.FixedLenByteArray:
		if t.Length() > maxDecimal {
			return nil
		}
		digits = func(v parquet.Value, b []byte) []byte { return twosComplement(v.ByteArray()).Append(b, 10) }
	default:
		return nil
	}
	return func(v parquet.Value, c *warehouse.Cell, text *[]byte) bool {
		if v.Kind() == parquet.ByteArray && len(v.ByteArray()) > maxDecimal {
			return false
		}
		*text = append(digits(v, (*text)[:0]), 'e')
		*text = strconv.AppendInt(*text, int64(-scale), 10)
		f, err := strconv.ParseFloat(string(*text), 64)
		return err == nil && number(c, f)
	}
}

func twosComplement(b []byte) *big.Int {
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return n
}
