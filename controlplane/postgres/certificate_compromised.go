package postgres

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// CompromisedKey returns the ID of a certificate of the organization with the given public key (a
// DER SubjectPublicKeyInfo) that was revoked, or is to be revoked, because the key is compromised.
// It returns "" if the organization has none. It reads only certificates with a compromised key,
// by index.
func (q queries) CompromisedKey(
	ctx context.Context, orgID string, publicKey []byte,
) (certificateID string, err error) {
	// The leaf certificate contains its key byte for byte. It comes first in a whole chain.
	err = q.db.QueryRow(ctx, `
		SELECT id FROM certificates
		WHERE org_id = $1 AND coalesce(nullif(revocation_reason, ''), revocation_requested) = 'keyCompromise'
			AND position($2::bytea IN coalesce(leaf, decode(split_part(chain_pem, '-----', 3), 'base64'))) > 0
		LIMIT 1`, orgID, publicKey).Scan(&certificateID)
	if err = translate(err, "certificate", ""); controlplane.IsKind(err,
		controlplane.KindNotFound) {
		return "", nil
	}
	return certificateID, err
}
