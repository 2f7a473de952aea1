package controlplane

import (
	"math/rand/v2"
	"time"
)

// DeliveryStatus is where a delivery stands.
type DeliveryStatus string

// The statuses of a delivery.
const (
	DeliveryPending   DeliveryStatus = "pending" // it is tried, or waits for its next attempt
	DeliverySucceeded DeliveryStatus = "succeeded"
	DeliveryFailed    DeliveryStatus = "failed"
)

// DeliveriesKept is how long a delivery is kept with its attempts.
const DeliveriesKept = 30 * 24 * time.Hour

// Delivery is one event on its way to one webhook.
type Delivery struct {
	ID             string
	OrgID          string
	WebhookID      string
	EventID        string // the webhook-id that is sent
	EventType      string
	Body           []byte // what is sent; nil until the first attempt
	Status         DeliveryStatus
	Attempts       int // in all of its lives
	LastStatusCode int // of the last answer; 0 where none came
	LastError      string
	NextAttemptAt  *time.Time
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// Message is what one attempt sends. The keys sign it, each by itself.
type Message struct {
	URL  string
	ID   string
	At   time.Time
	Body []byte
	Keys [][]byte
}

// Attempt is one try to deliver, and what came of it.
type Attempt struct {
	At              time.Time
	Duration        time.Duration
	StatusCode      int    // 0 where no answer came
	Error           string // why no answer came or why it does not count; "" where it was delivered
	RetryAfter      time.Duration
	RequestHeaders  map[string]string
	ResponseHeaders map[string]string
	ResponseBody    string // its beginning, as valid UTF-8
}

// Delivered reports whether the attempt succeeded.
func (a *Attempt) Delivered() bool { return a.Error == "" }

// deliveryWaits is the schedule that Standard Webhooks proposes ("Deliverability and
// reliability"), where each wait begins at the attempt before: the last attempt comes 75 h
// 35 min after the first.
var deliveryWaits = [...]time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
	10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// DeliveryAttempts is how often a delivery is tried.
const DeliveryAttempts = len(deliveryWaits) + 1

const (
	deliveryJitter = 0.1
	// maxRetryAfter bounds what an answer's Retry-After can ask for.
	maxRetryAfter = 24 * time.Hour
)

// DeliveryWait returns the wait between the attempt that was the given number of failures and
// the next one, ±10 %. What the answer asked for (RFC 9110 §10.2.3) makes it longer, by up to
// a day in all.
func DeliveryWait(failures int, retryAfter time.Duration) time.Duration {
	d := float64(deliveryWaits[min(max(failures, 1), len(deliveryWaits))-1])
	d *= 1 - deliveryJitter + 2*deliveryJitter*rand.Float64()
	return max(time.Duration(d), min(retryAfter, maxRetryAfter))
}
