// Package endpoint makes the calls that leave the engine: to the endpoints that
// score for models of type external_endpoint, and to whatever else a
// configuration names.
//
// A client's configuration chooses where such a call goes, so the engine must not
// become its way into the network that the engine runs in. The rules:
//
//   - https only, unless the server is configured otherwise;
//   - the address is judged when the connection is made, after the name was
//     resolved, so that no name can mean one address when it is checked and
//     another when it is called: public unicast only, and only at port 443 (80) or
//     from 1024 on, except for what the server's configuration lists;
//   - never an address that the engine itself listens on, listed or not;
//   - no redirect is followed, no proxy of the environment is used;
//   - the answer is bounded in header, body and time: a total time-out ends a
//     slow one however steadily it drips;
//   - nothing of the answer's body or of the reason why a connection failed
//     reaches a client of the engine; it is for the log.
package endpoint
