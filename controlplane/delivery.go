package controlplane

import "time"

// DeliveryStatus is the state of a delivery.
type DeliveryStatus string

// The statuses of a delivery.
const (
	DeliveryPending   DeliveryStatus = "pending" // in progress, or waiting for its next attempt
	DeliverySucceeded DeliveryStatus = "succeeded"
	DeliveryFailed    DeliveryStatus = "failed"
)

// DeliveriesKept is how long a delivery and its attempts are kept.
const DeliveriesKept = 30 * 24 * time.Hour

// Delivery is the delivery of one event to one webhook.
type Delivery struct {
	ID             string
	OrgID          string
	WebhookID      string
	EventID        string // the webhook-id that is sent
	EventType      string
	Body           []byte // what is sent; nil until the first attempt
	Status         DeliveryStatus
	Attempts       int // in total, over all redeliveries
	LastStatusCode int // of the last response; 0 if there was none
	LastError      string
	NextAttemptAt  *time.Time
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// Message is what one attempt sends. It has one signature for each of Keys.
type Message struct {
	URL  string
	ID   string
	At   time.Time
	Body []byte
	Keys [][]byte
}

// Attempt is one attempt to deliver an event, with its result.
type Attempt struct {
	At              time.Time
	Duration        time.Duration
	StatusCode      int    // 0 without a response
	Error           string // why the attempt failed; "" if the event was delivered
	RetryAfter      time.Duration
	RequestHeaders  map[string]string
	ResponseHeaders map[string]string
	ResponseBody    string // its first bytes, as valid UTF-8
}

// Delivered reports whether the attempt succeeded.
func (a *Attempt) Delivered() bool { return a.Error == "" }

// deliveryWaits is the schedule that Standard Webhooks proposes ("Deliverability and
// reliability"). Each wait counts from the previous attempt: the last attempt is 75 h 35 min
// after the first.
var deliveryWaits = [...]time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
	10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// DeliveryAttempts is the maximum number of attempts of a delivery.
const DeliveryAttempts = len(deliveryWaits) + 1

const (
	deliveryJitter = 0.1
	// maxRetryAfter bounds the wait that Retry-After can request.
	maxRetryAfter = 24 * time.Hour
)

// DeliveryWait returns the wait between the attempt that was the given number of failures and
// the next one, ±10%, where draw, in [0,1), picks the place within these bounds. Retry-After of
// the response (RFC 9110 §10.2.3) makes it longer, up to a day.
func DeliveryWait(failures int, retryAfter time.Duration, draw float64) time.Duration {
	d := float64(deliveryWaits[min(max(failures, 1), len(deliveryWaits))-1])
	d *= 1 - deliveryJitter + 2*deliveryJitter*draw
	return max(time.Duration(d), min(retryAfter, maxRetryAfter))
}
