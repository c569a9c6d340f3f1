package simulator

import (
	"math"
	"math/rand/v2"
	"strconv"
)

// Segment is a group of customers.
type Segment int

// The segments.
const (
	Student Segment = iota
	Family
	Affluent
	Retired
)

var segmentNames = [...]string{Student: "student", Family: "family", Affluent: "affluent", Retired: "retired"}

// String returns the segment as the attribute shows it.
func (s Segment) String() string { return segmentNames[s] }

var regions = [...]string{"north", "east", "south", "west"}

// Customer is one customer as the truth knows them. What a model may see is
// Attributes.
type Customer struct {
	Index        int
	Age          float64 // years
	Income       float64 // a year
	CreditScore  float64
	TenureMonths float64
	Segment      Segment
	Region       string
	Mortgage     bool
	Digital      bool

	incomeMissing, scoreMissing bool
}

// The customers' distribution; see the package's documentation.
const (
	medianIncome     = 42_000.0
	incomeDeviation  = 0.55 // of ln income
	incomeMissing    = 0.12
	creditMissing    = 0.08
	studentAge       = 25.0
	retirementAge    = 65.0
	affluentIncome   = 60_000.0
	meanTenureMonths = 48.0
)

// Customer returns the i-th customer of the population.
func (m *Market) Customer(i int) Customer {
	rng := m.rand(customerStream, uint64(i))
	c := Customer{Index: i, Age: 18 + 67*rng.Float64(), Region: regions[rng.IntN(len(regions))]}
	logIncome := math.Log(medianIncome) + incomeDeviation*rng.NormFloat64()
	if c.Age < studentAge {
		logIncome -= 0.45
	}
	c.Income = math.Round(math.Exp(logIncome)/100) * 100
	c.CreditScore = math.Round(min(max(680+25*c.logIncome()+75*rng.NormFloat64(), 300), 850))
	c.TenureMonths = math.Floor(min(meanTenureMonths*rng.ExpFloat64(), 12*(c.Age-17)))
	c.Mortgage = rng.Float64() < mortgageShare(c.Age)
	c.Digital = rng.Float64() < sigmoid(1.2-0.9*c.age())
	c.Segment = segmentOf(&c)
	c.Age = math.Floor(c.Age)
	c.incomeMissing, c.scoreMissing = missing(rng)
	return c
}

func mortgageShare(age float64) float64 {
	if age >= 28 && age < retirementAge {
		return 0.45
	}
	return 0.08
}

func missing(rng *rand.Rand) (income, credit bool) {
	return rng.Float64() < incomeMissing, rng.Float64() < creditMissing
}

func segmentOf(c *Customer) Segment {
	switch {
	case c.Age < studentAge:
		return Student
	case c.Age >= retirementAge:
		return Retired
	case c.Income >= affluentIncome:
		return Affluent
	}
	return Family
}

// ID returns the customer's id.
func (c *Customer) ID() string { return "cust-" + strconv.Itoa(c.Index) }

// Attributes returns what a model may know of the customer: numbers, categories
// and booleans; what is missing is not in the map.
func (c *Customer) Attributes() map[string]any {
	attributes := map[string]any{
		"age":           c.Age,
		"tenure_months": c.TenureMonths,
		"segment":       c.Segment.String(),
		"region":        c.Region,
		"has_mortgage":  c.Mortgage,
		"digital":       c.Digital,
	}
	if !c.incomeMissing {
		attributes["income"] = c.Income
	}
	if !c.scoreMissing {
		attributes["credit_score"] = c.CreditScore
	}
	return attributes
}

// The standardised quantities of the truth.
func (c *Customer) age() float64       { return (c.Age - 45) / 16 }
func (c *Customer) logIncome() float64 { return math.Log(c.Income/medianIncome) / incomeDeviation }
func (c *Customer) credit() float64    { return (c.CreditScore - 680) / 80 }
func (c *Customer) tenure() float64    { return math.Log1p(c.TenureMonths/24) - 1 }
