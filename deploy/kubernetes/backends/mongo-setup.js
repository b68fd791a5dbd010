// Makes one MongoDB server a replica set of one, and the user that the catalog is; both may be there already. For `mongosh --nodb`.
// A set of one because the catalog's writes are a majority's: more members can be added to it, to a server alone they can't.
const secret = (name) => fs.readFileSync(`${process.env.SECRETS}/${name}`, "utf8").trim();
const login = `root:${encodeURIComponent(secret("mongo-root-password"))}`;
const admin = connect(`mongodb://${login}@mongo:27017/admin?directConnection=true`);

try {
  admin.adminCommand({ replSetInitiate: { _id: "vidstream", members: [{ _id: 0, host: "mongo:27017" }] } });
} catch (error) {
  if (error.codeName !== "AlreadyInitialized") throw error;
}

const until = Date.now() + 60_000;
while (!admin.hello().isWritablePrimary) {
  if (Date.now() > until) throw new Error("the replica set has no primary after 60 s");
  sleep(200);
}

// The password is told again each time: so a new one needs no other step than this.
const database = admin.getSiblingDB("vidstream");
const user = { pwd: secret("mongo-password"), roles: [{ role: "readWrite", db: "vidstream" }] };
if (database.getUser("vidstream")) database.updateUser("vidstream", user);
else database.createUser({ user: "vidstream", ...user });
print("mongo: ready");
