package edge

import (
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const (
	// ExportPage is the number of rows of an export that are read and written at a time. No
	// database connection is held while the client reads.
	ExportPage = 500
	// exportsAtOnce is the maximum number of concurrent exports of a handler: each holds a page in
	// memory.
	exportsAtOnce = 64
	// exportsOfOne is the maximum for one organization.
	exportsOfOne = 2
	// exportRetry is the retry delay when the maximum is reached.
	exportRetry = 5 * time.Second
)

// NewExports returns the gate that each export of a handler passes.
func NewExports() *controlplane.Gate { return controlplane.NewGate(exportsAtOnce, exportsOfOne) }

// ExportBusy returns the error for an export that the gate does not admit at now.
func ExportBusy(now time.Time) error {
	return &controlplane.Error{Kind: controlplane.KindRateLimited, Code: "export-busy",
		RetryAt: now.Add(exportRetry),
		Message: "The maximum number of concurrent exports is in progress.",
		Fix:     controlplane.FixOf("export-busy")}
}
