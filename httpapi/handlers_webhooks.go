package httpapi

import (
	"time"

	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/internal/event"
	"github.com/praetor-engine/praetor/internal/webhook"
)

// The bounds on a webhook's fields; which URLs and types there are is the engine's
// to judge.
const (
	maxURL        = 2048
	maxEventTypes = 50
)

func (s *Server) listWebhooks(rq *request) error {
	p, err := rq.page()
	if err != nil {
		return err
	}
	l, err := s.engine.Webhooks(rq.tenant(), p)
	if err != nil {
		return err
	}
	return replyList(rq, p, l)
}

func (s *Server) getWebhook(rq *request) error {
	w, err := s.engine.Webhook(rq.tenant(), rq.params[0])
	if err != nil {
		return err
	}
	return rq.reply(fasthttp.StatusOK, w)
}

func (s *Server) createWebhook(rq *request) error {
	f, err := rq.webhookFields(true)
	if err != nil {
		return err
	}
	w, receipt, err := s.engine.CreateWebhook(rq.ctx, rq.write(), f)
	if err != nil {
		return err
	}
	rq.wrote(receipt)
	return rq.reply(fasthttp.StatusCreated, w)
}

func (s *Server) updateWebhook(rq *request) error {
	f, err := rq.webhookFields(false)
	if err != nil {
		return err
	}
	w, receipt, err := s.engine.UpdateWebhook(rq.ctx, rq.write(), rq.param(0), f)
	if err != nil {
		return err
	}
	rq.wrote(receipt)
	return rq.reply(fasthttp.StatusOK, w)
}

func (s *Server) deleteWebhook(rq *request) error {
	receipt, err := s.engine.DeleteWebhook(rq.ctx, rq.write(), rq.param(0))
	return rq.replyDeleted(receipt, err)
}

// rotateSecret gives a webhook another secret.
func (s *Server) rotateSecret(rq *request) error {
	overlap := webhook.DefaultOverlap
	if err := rq.beginBody(); err != nil {
		return err
	}
	if rq.enterObject() {
		for rq.nextField() {
			if rq.key == "overlapSeconds" {
				overlap = time.Duration(rq.whole(0, uint64(webhook.MaxOverlap/time.Second))) * time.Second
			} else {
				rq.unknown()
			}
		}
	}
	if err := rq.decoder.err(); err != nil {
		return err
	}
	w, receipt, err := s.engine.RotateWebhookSecret(rq.ctx, rq.write(), rq.param(0), overlap)
	if err != nil {
		return err
	}
	rq.wrote(receipt)
	return rq.reply(fasthttp.StatusOK, w)
}

// testWebhook sends a message now, from this node.
func (s *Server) testWebhook(rq *request) error {
	if err := rq.noFields(); err != nil {
		return err
	}
	t, err := s.engine.TestWebhook(rq.ctx, rq.tenant(), rq.param(0))
	if err != nil {
		return err
	}
	return rq.reply(fasthttp.StatusOK, t)
}

// webhookFields reads the body of POST (create) and PUT on webhooks.
func (rq *request) webhookFields(create bool) (f webhook.Fields, err error) {
	if err := rq.beginBody(); err != nil {
		return f, err
	}
	if rq.enterObject() {
		for rq.nextField() {
			switch rq.key {
			case "url":
				f.URL = rq.ownText(1, maxURL)
			case "description":
				f.Description = rq.ownText(0, maxDescription)
			case "eventTypes":
				f.EventTypes = rq.eventTypes()
			case "enabled":
				v := rq.boolean()
				f.Enabled = &v
			default:
				rq.unknown()
			}
		}
		if create {
			rq.need("url")
		}
	}
	return f, rq.decoder.err()
}

func (rq *request) eventTypes() *event.Filter {
	f := event.Filter{}
	if rq.enterArray() {
		for rq.nextItem(maxEventTypes) {
			f = append(f, *rq.ownText(1, maxName))
		}
	}
	return &f
}
