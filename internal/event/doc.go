// Package event is what a tenant's other systems are told: a bounded log of
// events that is made of the replicated log, the same on every node.
//
// An event stands for a change that somebody outside may act on: a family has
// another champion, an experiment ended, a model was trained. Package engine hands
// over what every command changed, as the audit log has it; [Derive] makes the
// events of it; a [Store] keeps the newest of each tenant. Nothing here knows a
// clock, a node or a network, so that replicas have the same events under the same
// ids, and whoever reads them goes on at any node.
package event
