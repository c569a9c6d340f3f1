package demo

// hints ends the demo: what to try next, as commands that work.
func (s *session) hints(best *entrant) {
	s.out.title("What to try next")
	if s.owned {
		s.out.line("  praetor serve --dev")
		s.out.line("      an engine that stays: it prints its URL and an admin key")
		s.out.line("  praetor demo --url http://127.0.0.1:8080 --key prk_…")
		s.out.line("      this demo against it; its models stay, to look at and to score with")
	} else {
		s.out.line("  export PRAETOR_URL=%s PRAETOR_KEY=prk_…", s.url)
		s.out.line("  praetor models list")
		s.out.line("      the models of this run stay in the tenant, their keys end in %s", s.run)
		s.out.line("  praetor models show %s", best.id)
		s.out.line("      the model that did best, with its versions and metrics")
		s.out.line("  curl -H \"X-API-Key: $PRAETOR_KEY\" -H 'Content-Type: application/json' \\")
		s.out.line("    -d '{\"attributes\":{\"age\":38}}' \\")
		s.out.line("    $PRAETOR_URL/api/v1/algorithm-models/%s/score", best.id)
		s.out.line("      a score from it, with what it is made of")
	}
	s.out.line("  praetor demo --seed 2 --visitors 40000")
	s.out.line("      another market, longer: the bandits' regret flattens further")
	s.out.line("  praetor demo --csv customers.csv --label subscribed --positive yes")
	s.out.line("      your own rows: any delimited file with a header and a label")
}
