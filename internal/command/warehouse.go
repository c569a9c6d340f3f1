package command

import "github.com/praetor-engine/praetor/internal/catalogue"

// CreateConnection gives a tenant its connection to a warehouse.
type CreateConnection struct {
	Connection catalogue.Connection `json:"connection"`
	Sealed     []byte               `json:"sealed,omitempty"` // its secret, as package vault seals it
}

// DeleteConnection removes it.
type DeleteConnection struct {
	ID string `json:"id"`
}

// CreateWarehouseMetric makes a metric.
type CreateWarehouseMetric struct {
	Metric catalogue.WarehouseMetric `json:"metric"`
	// Exposures tells that an optimization may have one such metric only.
	Exposures bool `json:"exposures,omitempty"`
}

// DeleteWarehouseMetric removes it.
type DeleteWarehouseMetric struct {
	ID string `json:"id"`
}
