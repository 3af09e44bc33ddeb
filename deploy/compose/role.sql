-- Creates the role and the database of Commonplace; the container's superuser runs this once.
\getenv password COMMONPLACE_PASSWORD
CREATE ROLE commonplace LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';
CREATE DATABASE commonplace OWNER commonplace;
REVOKE CONNECT ON DATABASE commonplace, postgres, template1 FROM PUBLIC;
