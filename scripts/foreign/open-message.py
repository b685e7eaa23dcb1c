"""Opens a message with the AWS Encryption SDK for Python: open-message.py rsa|aes|kms NAME KEY-FILE < message > plain bytes.

rsa: a private key in PEM; aes: 32 bytes. NAME is that of the key in the message, of the namespace pgbackup.
kms: NAME is the ARN of a key of AWS KMS; KEY-FILE is not read.
"""

import sys

import aws_encryption_sdk
from aws_encryption_sdk.identifiers import CommitmentPolicy, EncryptionKeyType, WrappingAlgorithm
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.raw import RawMasterKeyProvider

kind, name, key_file = sys.argv[1:4]


class Keys(RawMasterKeyProvider):
    provider_id = "pgbackup"

    def _get_raw_key(self, key_id):
        with open(key_file, "rb") as file:
            key = file.read()
        algorithm, key_type = {
            "rsa": (WrappingAlgorithm.RSA_OAEP_SHA256_MGF1, EncryptionKeyType.PRIVATE),
            "aes": (WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING, EncryptionKeyType.SYMMETRIC),
        }[kind]
        return WrappingKey(wrapping_algorithm=algorithm, wrapping_key=key, wrapping_key_type=key_type)


if kind == "kms":
    keys = aws_encryption_sdk.StrictAwsKmsMasterKeyProvider(key_ids=[name])
else:
    keys = Keys()
    keys.add_master_key(name)
client = aws_encryption_sdk.EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
with client.stream(mode="decrypt-unsigned", source=sys.stdin.buffer, key_provider=keys) as plain:
    for piece in plain:
        sys.stdout.buffer.write(piece)
