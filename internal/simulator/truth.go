package simulator

// Category is a group of offers.
type Category int

// The categories.
const (
	Cards Category = iota
	Savings
	Loans
	Insurance
)

var categoryNames = [...]string{Cards: "cards", Savings: "savings", Loans: "loans", Insurance: "insurance"}

// String returns the category's id.
func (c Category) String() string { return categoryNames[c] }

// Offer is something that can be shown, with its part in the truth.
type Offer struct {
	ID       string
	Name     string
	Category Category
	Fee      float64 // a year
	Rate     float64 // percent

	index int
	// base is the log-odds of acceptance at the market's centre; the others
	// multiply age, log income, mortgage and digital.
	base, age, income, mortgage, digital float64
}

// Channel is where a visitor arrives.
type Channel struct {
	ID    string
	Share float64 // of the traffic

	effect  float64 // on the log-odds
	digital float64 // the same, for digital customers only
}

var offers = numbered([]Offer{
	{ID: "travel-card", Name: "Travel Card", Category: Cards, Fee: 95, base: -2.00, income: 0.70, digital: 0.30},
	{ID: "cashback-card", Name: "Cashback Card", Category: Cards, base: -1.45, age: -0.30, income: -0.10, digital: 0.20},
	{ID: "first-card", Name: "First Card", Category: Cards, base: -2.20, age: -0.60, income: -0.40},
	{ID: "fixed-deposit", Name: "Fixed Deposit", Category: Savings, Rate: 3.4, base: -2.10, age: 0.30, income: 0.40},
	{ID: "instant-saver", Name: "Instant Saver", Category: Savings, Rate: 1.9, base: -1.80, income: 0.10, digital: 0.40},
	{ID: "personal-loan", Name: "Personal Loan", Category: Loans, Rate: 7.9, base: -2.30, age: -0.20, income: -0.30, mortgage: -0.20},
	{ID: "home-loan", Name: "Home Loan", Category: Loans, Rate: 4.9, base: -2.60, income: 0.20, mortgage: 1.20},
	{ID: "travel-cover", Name: "Travel Cover", Category: Insurance, Fee: 60, base: -2.40, income: 0.40},
})

func numbered(offers []Offer) []Offer {
	for i := range offers {
		offers[i].index = i
	}
	return offers
}

var channels = [...]Channel{
	{ID: "web", Share: 0.40},
	{ID: "app", Share: 0.30, effect: 0.20, digital: 0.50},
	{ID: "email", Share: 0.20, effect: -0.60},
	{ID: "branch", Share: 0.10, effect: 0.50, digital: -0.30},
}

// affinity is S: what a segment thinks of a category.
var affinity = [...][len(segmentNames)]float64{
	Cards:     {Student: 0.60, Family: 0.00, Affluent: 0.40, Retired: -0.90},
	Savings:   {Student: -0.80, Family: 0.00, Affluent: 0.60, Retired: 0.90},
	Loans:     {Student: -0.20, Family: 0.90, Affluent: -0.80, Retired: -1.20},
	Insurance: {Student: -0.60, Family: 0.50, Affluent: 0.10, Retired: 0.30},
}

// The effects that every offer shares.
const (
	creditEffect     = 0.30
	tenureEffect     = 0.20
	ageSquaredEffect = -0.15
)

// Offers returns the market's offers, not to be changed.
func Offers() []Offer { return offers }

// Channels returns the market's channels, not to be changed.
func Channels() []Channel { return channels[:] }

// Attributes returns what a model may know of the offer when it is shown to the
// customer: its properties, and the pair of offer and segment. The pair lets a
// linear model learn that segments differ in what they like; without it, every
// customer would get the same ranking.
func (o *Offer) Attributes(c *Customer) map[string]any {
	return map[string]any{
		"offer":          o.ID,
		"offer_category": o.Category.String(),
		"offer_fee":      o.Fee,
		"offer_rate":     o.Rate,
		"offer_segment":  o.ID + "/" + c.Segment.String(),
	}
}

// Probability returns the true probability that the customer accepts the offer
// at the channel; the package's documentation has the formula.
func Probability(c *Customer, o *Offer, ch *Channel) float64 {
	a, l := c.age(), c.logIncome()
	z := o.base + ch.effect + creditEffect*c.credit() + tenureEffect*c.tenure() + ageSquaredEffect*a*a
	z += o.age*a + o.income*l + affinity[o.Category][c.Segment]
	if c.Mortgage {
		z += o.mortgage
	}
	if c.Digital {
		z += o.digital + ch.digital
	}
	return sigmoid(z)
}
