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
  // `alice+2` is another account that is called alice, and `alice~zoe` the account of alice that is called zoe.
  findAccount: (_, id) => {
    const [account, renamed] = id.split("~");
    const name = renamed ?? account.split("+")[0];
    const claims = { sub: `id of ${account}`, preferred_username: name, email: `${name}@carillon.test`, email_verified: true };
    return { accountId: id, claims: () => claims };
  },
});
const tls = { key: readFileSync(key), cert: readFileSync(certificate) };
createServer(tls, provider.callback()).listen(Number(port), address, () => console.log("listening"));
