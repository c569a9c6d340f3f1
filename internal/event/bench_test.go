package event

import "testing"

// A promotion with its displaced champion: what deriving its three events costs the
// apply goroutine.
func BenchmarkDerive(b *testing.B) {
	changes := []Change{
		{Action: "displace", EntityType: EntityModel, EntityID: "m", Before: modelMembers("a", "f", "champion", "2"), After: modelMembers("a", "f", "challenger", "2")},
		{Action: "transition", EntityType: EntityModel, EntityID: "n", Before: modelMembers("b", "f", "challenger", "1"), After: modelMembers("b", "f", "champion", "1")},
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, d := range Derive(Cause{Actor: "ann"}, changes) {
			if _, err := d.Stamp(ID{1, 1}, "t", 5); err != nil {
				b.Fatal(err)
			}
		}
	}
}
