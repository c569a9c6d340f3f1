package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// The headers of a message, as Standard Webhooks names them.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

// signatureVersion says that a signature is an HMAC-SHA-256.
const signatureVersion = "v1,"

// Sign returns the signature of a message, one for each secret, separated by
// spaces: during a rotation the receiver finds the one that it knows. What is
// signed is the id, the time of the attempt in seconds and the body, with dots
// between.
func Sign(secrets []Secret, id string, at time.Time, body []byte) string {
	signatures := make([]string, len(secrets))
	for i, s := range secrets {
		mac := hmac.New(sha256.New, s.key)
		mac.Write([]byte(id + "." + timestamp(at) + "."))
		mac.Write(body)
		signatures[i] = signatureVersion + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return strings.Join(signatures, " ")
}

// timestamp is the time of an attempt as it is sent and signed.
func timestamp(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }
