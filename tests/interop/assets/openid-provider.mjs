// An OpenID provider (oidc-provider) for people who are whoever they say they are. Its key is another one after each start.
//
//   node openid-provider.mjs ADDRESS PORT KEY CERTIFICATE REDIRECT
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import Provider from "oidc-provider";

const [address, port, key, certificate, redirect] = process.argv.slice(2);
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const signing = { ...privateKey.export({ format: "jwk" }), use: "sig", alg: "RS256", kid: randomUUID() };

const provider = new Provider(`https://login.carillon.test:${port}`, {
  clients: [
    {
      client_id: "carillon",
      client_secret: "a-secret-of-carillon",
      redirect_uris: [redirect],
      token_endpoint_auth_method: "client_secret_basic",
    },
  ],
  pkce: { methods: ["S256"], required: () => true },
  cookies: { keys: [randomUUID()] },
  jwks: { keys: [signing] },
  claims: { openid: ["sub"], profile: ["preferred_username"], email: ["email", "email_verified"] },
  conformIdTokenClaims: false,
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: `id of ${id}`, preferred_username: id, email: `${id}@carillon.test`, email_verified: true }),
  }),
});
const tls = { key: readFileSync(key), cert: readFileSync(certificate) };
createServer(tls, provider.callback()).listen(Number(port), address, () => console.log("listening"));
