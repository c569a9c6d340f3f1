package decision

// Summary is what one customer did with one offer so far.
type Summary struct {
	Impressions   uint32
	Positives     uint32
	Negatives     uint32
	LastContactAt int64 // Unix milliseconds, 0 = never
}

// IsZero reports whether there is no history.
func (s *Summary) IsZero() bool { return s.LastContactAt == 0 }

// PositiveRate is positives per contact, where a contact is an impression or,
// for clients that do not report impressions, a response.
func (s *Summary) PositiveRate() float64 {
	contacts := max(s.Impressions, s.Positives+s.Negatives)
	if contacts == 0 {
		return 0
	}
	return float64(s.Positives) / float64(contacts)
}

// The names of the interaction features as model inputs.
const (
	FeatureImpressions      = "interaction.impressions"
	FeaturePositives        = "interaction.positives"
	FeatureNegatives        = "interaction.negatives"
	FeaturePositiveRate     = "interaction.positiveRate"
	FeatureDaysSinceContact = "interaction.daysSinceContact"
)

// InteractionFeatures lists the names that a model may take as inputs.
var InteractionFeatures = []string{
	FeatureImpressions, FeaturePositives, FeatureNegatives, FeaturePositiveRate, FeatureDaysSinceContact,
}

// AppendFeatures appends the named interaction features as of the time at (Unix
// milliseconds); without history they are missing and nothing is appended.
func (s *Summary) AppendFeatures(dst Row, names []string, at int64) Row {
	if s.IsZero() {
		return dst
	}
	for _, name := range names {
		var v float64
		switch name {
		case FeatureImpressions:
			v = float64(s.Impressions)
		case FeaturePositives:
			v = float64(s.Positives)
		case FeatureNegatives:
			v = float64(s.Negatives)
		case FeaturePositiveRate:
			v = s.PositiveRate()
		case FeatureDaysSinceContact:
			const dayMillis = 24 * 60 * 60 * 1000
			v = float64(max(at-s.LastContactAt, 0)) / dayMillis
		default:
			continue
		}
		dst = append(dst, Field{Name: name, Num: v, Kind: Number})
	}
	return dst
}
