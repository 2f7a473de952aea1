package postgres

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// CompromisedKey returns a certificate of the organization's with the given public key (a DER
// SubjectPublicKeyInfo) that was revoked because the key is compromised, or is to be; "" where
// there is none. It reads only the certificates with such a key, by index.
func (q queries) CompromisedKey(ctx context.Context, orgID string, publicKey []byte) (certificateID string, err error) {
	// The leaf comes first in the chain, and holds its key byte for byte.
	err = q.db.QueryRow(ctx, `
		SELECT id FROM certificates
		WHERE org_id = $1 AND coalesce(nullif(revocation_reason, ''), revocation_requested) = 'keyCompromise'
			AND position($2::bytea IN decode(split_part(chain_pem, '-----', 3), 'base64')) > 0
		LIMIT 1`, orgID, publicKey).Scan(&certificateID)
	if err = translate(err, "certificate", ""); controlplane.IsKind(err, controlplane.KindNotFound) {
		return "", nil
	}
	return certificateID, err
}
